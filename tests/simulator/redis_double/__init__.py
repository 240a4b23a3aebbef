"""A double of the server for the simulator."""
