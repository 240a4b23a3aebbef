"""Tests of ``streamsched.worker``."""
