"""``python -m streamsched`` is the command ``streamsched``."""

from .cli.app import app

app(prog_name="streamsched")
