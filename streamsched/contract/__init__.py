"""What is written on the wire and in the keys: events, fields, bounds, errors, key shapes."""
