"""Tests of ``streamsched.state``."""
