"""The heartbeats of a node, and what they say of it."""
