"""Everything about one job, node or session, on a screen of its own."""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from ..cli_explain import explanation_lines
from ..cli_trace import event_line
from ..explain import Explanation
from ..shown import one_line
from ..trace import span_words

UNTOLD = ("pools", "cap_json", "load_json", "mailbox")
"""Of a state, what is told elsewhere or too long."""


def story(told: dict[str, Any]) -> Text:
    """Return what is known as text: how it stands, why, and what happened."""
    lines = [Text(one_line(f"{told['kind']} {told['id']}"), "bold reverse")]
    if told.get("why"):
        why = explanation_lines(msgspec.convert(told["why"], Explanation))
        lines += [Text(why[0], "bold"), *map(Text, why[1:])]
    elif told.get("state"):
        state = {name: value for name, value in told["state"].items() if name not in UNTOLD and value not in ("", None)}
        lines.append(Text(one_line("  ".join(f"{name}={_short(value)}" for name, value in state.items()))))
        if told["state"].get("why_closed"):
            lines.append(Text(one_line(f"may receive no job: {told['state']['why_closed']}"), "yellow"))
    if told.get("jobs"):
        lines.append(Text(one_line("holds " + " ".join(told["jobs"]))))
    lines.append(Text(""))
    if told["steps_total"] > len(told["steps"]):
        lines.append(Text(f"… {told['steps_total'] - len(told['steps'])} earlier events", "dim"))
    for step in told["steps"]:
        after = "" if step["after_ms"] is None else f"+{span_words(step['after_ms'])}"
        lines.append(event_line(step["ts"], f" {after:>10}  ", step["type"], step["words"], step["refused"]))
    return Text("\n").join(lines)


def _short(value: object) -> object:
    return str(value).lower() if isinstance(value, bool) else value


class StoryScreen(ModalScreen[None]):
    """A story over the tables; any of its keys leads back."""

    CSS = """
    StoryScreen VerticalScroll { margin: 1 2; padding: 0 1; border: round $accent; background: $surface; }
    StoryScreen Static { width: 100%; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,backspace", "dismiss", "back")]

    def __init__(self, text: Text) -> None:
        super().__init__()
        self.text = text

    def compose(self) -> ComposeResult:
        with VerticalScroll():
            yield Static(self.text, id="story")
