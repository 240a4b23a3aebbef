"""Tests of ``streamsched.dashboard``."""
