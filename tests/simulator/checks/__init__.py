"""The invariants: what is observed of a run, and what must hold of it after every command and at its end."""
