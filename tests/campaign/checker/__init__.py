"""The verdict of a run, from evidence outside of the product: journals, the log, the archive and the dead letters."""
