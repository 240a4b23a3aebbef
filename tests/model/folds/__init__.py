"""How each event changes the state, by topic."""
