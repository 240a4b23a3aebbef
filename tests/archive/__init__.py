"""Tests of ``streamsched.archive``."""
