"""Tests of ``streamsched.cli``."""
