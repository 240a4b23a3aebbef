"""Tests of the Lua folds."""
