"""Tests of ``streamsched.server``."""
