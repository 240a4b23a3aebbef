"""``python -m streamsched`` is the command ``streamsched``."""

from .cli import app

app(prog_name="streamsched")
