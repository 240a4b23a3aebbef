"""Tests of ``streamsched.client``."""
