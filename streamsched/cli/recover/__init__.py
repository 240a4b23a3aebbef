"""Commands that save, check and restore history: archive, snapshot, verify, at, diff, rebuild, dead."""
