"""Tests of ``streamsched.history``."""
