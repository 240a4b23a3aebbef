"""Tests of ``streamsched.demo``."""
