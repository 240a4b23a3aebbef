"""What strangers and large payloads may cost at most."""
