"""Tests of ``streamsched.engine``."""
