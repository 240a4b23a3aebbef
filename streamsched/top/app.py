"""The overview in a terminal: its parts, its keys, and what fills them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import anyio
import msgspec
from redis.exceptions import RedisError
from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import DataTable, Footer, HelpPanel, Input, Sparkline, Static, TabbedContent, TabPane

from ..dashboard.about import about
from ..dashboard.index import END
from ..dashboard.lens import Lens
from ..dashboard.watcher import Watcher
from ..errors import SchedulerError
from ..search import latest_rows
from ..shown import one_line
from . import tables
from .head import head
from .seen import Seen
from .story import StoryScreen, story

REDRAW_S = 0.5
"""Between two drawings: over ssh each is a few kilobytes."""

SEARCH_S = 2.0
"""Between two searches of the log while a filter is set and new events come."""

QUIET_S = 5.0
"""How long nothing may change before the ages are drawn anew."""

FOUND = 100
"""Events that a filter shows, the latest ones."""

PARTS: dict[str, tuple[str, tuple[str, ...]]] = {
    "nodes": ("Nodes", ("node", "health", "held", "pools")),
    "pairs": ("Languages", ("pair", "waiting", "served by")),
    "pools": ("Pools", ("pool", "languages", "members", "open")),
    "log": ("Log", ("time", "event", "of", "what")),
    "letters": ("Dead letters", ("time", "event", "of", "why")),
}
"""The tables, each with its title and columns; their keys are 1, 2, …"""

CHARTS = (("submitted", "submitted"), ("finished", "finished"), ("p50", "wait, p50"))
"""What is drawn over time, each with its title."""


class Top(App[None]):
    """The whole of it.

    Args:
        watcher: what it shows; run by whoever runs this.
    """

    CSS_PATH = "top.tcss"
    TITLE = "streamsched top"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        *(Binding(str(n), f"part('{part}')", PARTS[part][0], show=False) for n, part in enumerate(PARTS, 1)),
        Binding("slash", "filter", "filter"),
        Binding("escape", "clear", "clear the filter", show=False),
        Binding("question_mark", "keys", "keys"),
        Binding("q", "quit", "quit"),
    ]

    def __init__(self, watcher: Watcher) -> None:
        super().__init__()
        self.watcher = watcher
        self.seen = Seen()
        self.wanted = ""
        """The filter."""
        self.shown: dict[str, list[tables.Line]] = {part: [] for part in PARTS}
        self._found: list[dict[str, Any]] = []
        self._searched = ("", "", 0.0)  # filter, last event of the log, when

    def compose(self) -> ComposeResult:
        yield Static(id="head")
        with Horizontal(id="charts"):
            for name, _ in CHARTS:
                with Vertical():
                    yield Static(id=f"{name}-now")
                    yield Sparkline(id=name)
        yield Input(placeholder="words, or field=pattern: type=job.* node_id=n1", id="filter")
        with TabbedContent(id="parts"):
            for n, (part, (title, columns)) in enumerate(PARTS.items(), 1):
                with TabPane(f"{n} {title}", id=part):
                    table: DataTable[Text] = DataTable(cursor_type="row", zebra_stripes=True, id=f"{part}-table")
                    table.add_columns(*columns)
                    yield table
        yield Footer()

    def on_mount(self) -> None:
        self.query_one("#filter").display = False
        self.table("nodes").focus()
        self.run_worker(self._follow())

    def table(self, part: str) -> DataTable[Text]:
        """Return the table of a part."""
        return self.query_one(f"#{part}-table", DataTable)

    @property
    def part(self) -> str:
        """Which table is shown."""
        return self.query_one(TabbedContent).active or "nodes"

    async def _follow(self) -> None:
        with self.watcher.viewer():
            gen, rev = "", 0
            while not self.watcher.closing:
                if await self.watcher.changed(gen, rev, QUIET_S):
                    message = self.watcher.board.message(gen, rev)
                    gen, rev = message.gen, message.rev
                    self.seen.apply(msgspec.json.decode(message.text))
                    await self.show()
                await anyio.sleep(REDRAW_S)

    async def show(self) -> None:
        """Draw what is seen."""
        if len(self.screen_stack) > 1 or "partition" not in self.seen.sections:
            return
        self.query_one("#head", Static).update(head(self.seen.sections))
        self._draw_charts()
        part = self.part
        fill: dict[str, Callable[[Seen, str], tables.Table]] = {
            "nodes": tables.nodes,
            "pairs": tables.pairs,
            "pools": tables.pools,
            "letters": tables.letters,
        }
        self._fill(part, tables.log(await self._rows()) if part == "log" else fill[part](self.seen, self.wanted))

    def _draw_charts(self) -> None:
        charts = self.seen.sections.get("charts", {})
        step_s = charts.get("step_ms", 1000) / 1000
        for name, title in CHARTS:
            values = [value or 0 for value in charts.get(name, ())]
            now = next((value for value in reversed(values[:-1]) if value), 0)
            told = f"{now:g} ms" if name == "p50" else f"{(values[-2] if len(values) > 1 else 0) / step_s:.1f}/s"
            self.query_one(f"#{name}-now", Static).update(Text.assemble((f"{title} ", "dim"), told))
            self.query_one(f"#{name}", Sparkline).data = values

    async def _rows(self) -> list[dict[str, Any]]:
        """Return the latest rows of the log; with a filter the log is searched, so that what is rare is found."""
        rows = list(self.seen.log)
        if not self.wanted:
            return rows
        wanted, last, when = self._searched
        newest, now = rows[-1]["id"] if rows else "", anyio.current_time()
        if wanted != self.wanted or (newest != last and now - when > SEARCH_S):
            self._searched = self.wanted, newest, now
            try:
                self._found = (await latest_rows(self._lens(), END, self.wanted, FOUND)).rows
            except (SchedulerError, RedisError, OSError) as problem:
                self.notify(one_line(str(problem)), severity="error")
        return self._found

    def _lens(self) -> Lens:
        return Lens(self.watcher.history(), self.watcher.index, END)

    def _fill(self, part: str, found: tables.Table) -> None:
        if self.shown[part] == found.lines:
            return
        table, before = self.table(part), self.shown[part]
        row = table.cursor_row
        under = before[row].key if row < len(before) else ""
        follows = part == "log" and row == 0  # whoever looks at the latest event goes on doing so
        self.shown[part] = found.lines
        table.clear()
        for line in found.lines:
            table.add_row(*line.cells, key=line.key)
        keys = [line.key for line in found.lines]
        table.move_cursor(row=keys.index(under) if under in keys and not follows else min(row, max(0, len(keys) - 1)))
        more = found.total - len(found.lines)
        table.border_subtitle = f"{more} more: / finds them" if more else ""

    # ---- keys --------------------------------------------------------------------------------------------------------

    async def action_part(self, part: str) -> None:
        """Show another table."""
        self.query_one(TabbedContent).active = part
        self.table(part).focus()
        await self.show()

    async def on_tabbed_content_tab_activated(self) -> None:
        await self.show()

    def action_filter(self) -> None:
        """Ask for a filter."""
        box = self.query_one("#filter", Input)
        box.display = True
        box.focus()

    async def action_clear(self) -> None:
        """Show everything again."""
        self.query_one("#filter", Input).value = ""
        await self._leave_filter()

    async def on_input_changed(self, event: Input.Changed) -> None:
        self.wanted = event.value.strip()
        await self.show()

    async def on_input_submitted(self) -> None:
        await self._leave_filter()

    async def _leave_filter(self) -> None:
        self.query_one("#filter").display = bool(self.wanted)
        self.table(self.part).focus()
        await self.show()

    def action_keys(self) -> None:
        """Show the keys, or hide them."""
        if self.screen.query(HelpPanel):
            self.action_hide_help_panel()
        else:
            self.action_show_help_panel()

    async def on_data_table_row_selected(self, event: DataTable.RowSelected) -> None:
        """Open what the row is about."""
        line = next((line for line in self.shown[self.part] if line.key == event.row_key.value), None)
        if line is None or not line.about.kind:
            return
        kind, name = line.about
        if kind == "pool":
            self.query_one("#filter", Input).value = name
            await self.action_part("nodes")
            await self._leave_filter()
            return
        try:
            await self._open(kind, name)
        except (SchedulerError, RedisError, OSError) as problem:
            self.notify(one_line(str(problem)), severity="error")

    async def _open(self, kind: str, name: str) -> None:
        source = self.watcher.source
        if kind == "pair":
            first = await source.redis.zrange(source.keys("waiting", *name.split(":")), 0, 0)
            if not first:
                self.notify(f"no job of {one_line(name)} waits")
                return
            kind, name = "job", first[0]
        told = await about(source.redis, self._lens(), kind, name, operator=False)
        if told is None:
            self.notify(f"nothing is known of {kind} {one_line(name)} any more", severity="warning")
        else:
            await self.push_screen(StoryScreen(story(told)))
