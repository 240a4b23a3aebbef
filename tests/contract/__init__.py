"""Tests of ``streamsched.contract``."""
