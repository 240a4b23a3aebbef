"""Everything about one job, node or session, on a screen of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import msgspec
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import DataTable, Static

from ..console.explanation import explanation_lines
from ..history.explain import Explanation
from ..sanitize import one_line
from .grid import Grid
from .tables import About, steps

HIDDEN = ("pools", "cap_json", "load_json", "mailbox")
"""State fields that are shown elsewhere or too long."""


def standing(details: dict[str, Any]) -> Text:
    """Return the state and its explanation as text."""
    lines = [Text(one_line(f"{details['kind']} {details['id']}"), "bold reverse")]
    if details.get("why"):
        why = explanation_lines(msgspec.convert(details["why"], Explanation))
        lines += [Text(why[0], "bold"), *map(Text, why[1:])]
    elif details.get("state"):
        state = {
            name: value for name, value in details["state"].items() if name not in HIDDEN and value not in ("", None)
        }
        lines.append(Text(one_line("  ".join(f"{name}={_short(value)}" for name, value in state.items()))))
        if details["state"].get("why_closed"):
            lines.append(Text(one_line(f"may receive no job: {details['state']['why_closed']}"), "yellow"))
    if details["steps_total"] > len(details["steps"]):
        lines.append(Text(f"… {details['steps_total'] - len(details['steps'])} earlier events", "dim"))
    return Text("\n").join(lines)


def _short(value: object) -> object:
    return str(value).lower() if isinstance(value, bool) else value


class StoryScreen(ModalScreen[None]):
    """A story above the tables; it opens the stories of the subjects of its steps.

    Args:
        details: what is known, see :func:`about`.
        go_on: opens another story.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,backspace", "dismiss", "back")]

    def __init__(self, details: dict[str, Any], go_on: Callable[[About], None]) -> None:
        super().__init__()
        self.details, self.go_on = details, go_on

    def compose(self) -> ComposeResult:
        with Vertical() as frame:
            frame.border_subtitle = "Enter: the story of what a line names   Tab: the text   Esc: back"
            with VerticalScroll():
                yield Static(standing(self.details), id="standing")
            yield Grid(("time", "after", "event", "of", "what"), "steps")

    def on_mount(self) -> None:
        grid = self.query_one(Grid)
        grid.fill(steps(self.details))
        grid.move_cursor(row=len(grid.lines) - 1)
        grid.focus()

    def on_data_table_row_selected(self, event: DataTable.RowSelected) -> None:
        """Open the subject of a step."""
        event.stop()  # the tables under this screen have rows of their own
        line = self.query_one(Grid).under_cursor
        if line is not None and line.about.kind:
            self.go_on(line.about)
