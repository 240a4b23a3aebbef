"""The executing side: a node that registers, beats, takes assignments and completes them."""
