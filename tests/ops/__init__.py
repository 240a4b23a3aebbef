"""Tests of ``streamsched.ops``."""
