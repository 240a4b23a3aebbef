"""Commands that keep, check and restore history: archive, snapshot, verify, at, diff, rebuild, dead."""
