"""Tests of ``streamsched.node``."""
