"""Tests of ``streamsched.connect``."""
