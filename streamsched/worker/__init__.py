"""The process that folds events and decides what is due."""
