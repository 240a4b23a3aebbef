"""Tests of ``streamsched.metrics``."""
