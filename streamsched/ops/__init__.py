"""Settings, access rules and log output of the programs."""
