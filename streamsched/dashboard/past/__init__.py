"""Time travel: the state at a past moment, folded on scratch servers from saved checkpoints."""
