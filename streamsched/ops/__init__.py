"""What an operator sets up: settings, access rules, log output."""
