"""The keys, on a screen of their own."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

KEYS = (
    ("1 2 3 4 5", "nodes, languages, pools, the log, dead letters"),
    ("↑ ↓ PgUp …", "move, Home and End too; ← → along a line"),
    ("Enter", "the story of a node, a job or a session, and why;"),
    ("", "of a pair, that of its job which waits longest;"),
    ("", "of a pool, its nodes"),
    ("/", "leaves what is as every word says, such as"),
    ("", "hot  type=job.*  node_id=gpu-7*  pool_id=en-zh"),
    ("Esc", "back; clears the filter"),
    ("?", "these keys"),
    ("q  Ctrl-C", "end"),
)


class KeysScreen(ModalScreen[None]):
    """What each key does; any of its own leads back."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,backspace,question_mark,enter", "dismiss", "back")]

    def compose(self) -> ComposeResult:
        with VerticalScroll():
            yield Static(Text("\n").join(Text.assemble((f"{key:<12}", "bold"), words) for key, words in KEYS))
