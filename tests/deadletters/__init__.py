"""Tests of ``streamsched.deadletters``."""
