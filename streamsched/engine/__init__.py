"""Runs the Lua scripts on one partition: loads them, calls them, appends and advances."""
