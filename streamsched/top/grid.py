"""A table whose rows change in place, so that the reader keeps the position."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.coordinate import Coordinate
from textual.widgets import DataTable

from .tables import Line


class Grid(DataTable[Text]):
    """Lines; only cells that differ are redrawn.

    Args:
        columns: their titles.
        id: of the widget.
        latest: the newest line comes first, and a cursor on it stays on the newest.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("home", "scroll_top", "first", show=False),
        Binding("end", "scroll_bottom", "last", show=False),
    ]

    def __init__(self, columns: tuple[str, ...], id: str, latest: bool = False) -> None:
        super().__init__(cursor_type="row", zebra_stripes=True, id=id)
        self.lines: list[Line] = []
        self.latest = latest
        self.add_columns(*columns)

    @property
    def under_cursor(self) -> Line | None:
        """The line that the cursor is on."""
        return self.lines[self.cursor_row] if self.cursor_row < len(self.lines) else None

    def fill(self, lines: list[Line]) -> None:
        """Replace the lines; the cursor stays on its line."""
        before, under, row = self.lines, self.under_cursor, self.cursor_row
        if lines == before:
            return
        self.lines = lines
        for n, line in enumerate(lines):
            if n >= len(before):
                self.add_row(*line.cells, key=str(n))
                continue
            for column, cell in enumerate(line.cells):
                if cell != before[n].cells[column]:
                    self.update_cell_at(Coordinate(n, column), cell, update_width=True)
        for n in range(len(lines), len(before)):
            self.remove_row(str(n))
        if under is not None and not (self.latest and row == 0):
            # never far from where it was, and no line is there twice
            found = next((n for n, line in enumerate(lines) if line.key == under.key), row)
            if found != row:
                self.move_cursor(row=min(found, max(0, len(lines) - 1)))
