"""Output to a terminal: lines, tables, progress, exit codes."""
