"""Faults of what is kept: the AOF, the disks, and the archive."""
