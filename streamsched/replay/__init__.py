"""Folds a history again: rebuild, verify, snapshot, the state at a moment, and the difference of two states."""
