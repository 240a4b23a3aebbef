"""Tests of ``streamsched.replay``."""
