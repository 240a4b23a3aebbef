"""Tests of ``streamsched.top``."""
