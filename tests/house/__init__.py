"""Tests of the source tree itself, not of a behaviour."""
