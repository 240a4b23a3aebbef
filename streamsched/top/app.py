"""The overview in a terminal: its parts, keys, and data."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, ClassVar

import anyio
import msgspec
from redis.exceptions import RedisError
from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.css.query import NoMatches
from textual.widgets import DataTable, Footer, Input, Static, TabbedContent, TabPane
from textual.worker import Worker

from ..console.terminal import INTERRUPTED
from ..contract.errors import SchedulerError
from ..dashboard.details import about
from ..dashboard.log_index.filtered_history import FilteredHistory
from ..dashboard.log_index.index import END
from ..dashboard.watcher import Watcher
from ..history.filter import matches
from ..history.search import latest_rows
from ..sanitize import mask, one_line
from . import tables
from .charts import Charts
from .grid import Grid
from .head import head
from .keys import KeysScreen
from .messages import Messages
from .story import StoryScreen

REDRAW_S = 0.5
"""Pause between two redraws: over ssh each is a few kilobytes."""

SEARCH_S = 2.0
"""Between two searches of the log while a filter is set and new events come."""

TYPING_S = 0.2
"""Pause in typing a filter after which the log is searched."""

QUIET_S = 5.0
"""Pause between two checks for the end, while nothing changes."""

FOUND = 100
"""Events that a filter shows, the latest ones."""

ROOMY = 110
"""Columns from which on all charts stand beside each other."""

PARTS: dict[str, tuple[str, tuple[str, ...]]] = {
    "nodes": ("Nodes", ("node", "health", "held", "pools")),
    "pairs": ("Languages", ("pair", "waiting", "served by")),
    "pools": ("Pools", ("pool", "languages", "nodes", "open", *(tables.HEALTH[letter][0] for letter in tables.CLOSED))),
    "log": ("Log", ("time", "event", "of", "what")),
    "letters": ("Dead letters", ("time", "event", "of", "why")),
}
"""The tables, each with its title and columns; their keys are 1, 2, …"""


class Top(App[None]):
    """The application.

    Args:
        watcher: the source of its data; the caller runs it.
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
        Binding("ctrl+c", "interrupt", "quit", show=False, priority=True),
    ]

    def __init__(self, watcher: Watcher) -> None:
        super().__init__()
        self.HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (ROOMY, "-roomy")]
        self.watcher = watcher
        self.seen = Messages()
        self.wanted = ""
        """The filter."""
        self._found: list[dict[str, Any]] = []
        self._found_for = ""  # the filter that found them
        self._search: Worker[None] | None = None
        self._searched = ("", "", 0.0)  # filter, last event of the log, when

    def compose(self) -> ComposeResult:
        yield Static(id="head")
        yield Charts()
        yield Input(placeholder="words, or field=pattern: type=job.* node_id=n1", id="filter")
        with TabbedContent(id="parts"):
            for n, (part, (title, columns)) in enumerate(PARTS.items(), 1):
                with TabPane(f"{n} {title}", id=part):
                    yield Grid(columns, f"{part}-table", latest=part == "log")
        yield Static(id="more")
        yield Footer()

    def on_mount(self) -> None:
        self.query_one("#filter").display = False
        self.table("nodes").focus()
        self.run_worker(self._follow())

    def table(self, part: str) -> Grid:
        """Return the table of a part."""
        return self.screen_stack[0].query_one(f"#{part}-table", Grid)

    @property
    def part(self) -> str:
        """Which table is shown."""
        return self.screen_stack[0].query_one(TabbedContent).active or "nodes"

    async def _follow(self) -> None:
        with self.watcher.viewer():
            gen, rev = "", 0
            while not self.watcher.closing:
                if await self.watcher.changed(gen, rev, QUIET_S):
                    message = self.watcher.board.message(gen, rev)
                    gen, rev = message.gen, message.rev
                    change = msgspec.json.decode(message.text)
                    if change.pop("whole"):
                        self.seen = Messages()
                    self.seen.apply(change)
                    self.show()
                await anyio.sleep(REDRAW_S)

    def show(self) -> None:
        """Draw what is seen."""
        if len(self.screen_stack) > 1 or "partition" not in self.seen.sections:
            return
        with suppress(NoMatches):  # a search may end while the screen is being taken down
            self._draw()

    def _draw(self) -> None:
        self.query_one("#head", Static).update(head(self.seen.sections))
        self.query_one(Charts).draw(self.seen.sections.get("charts", {}))
        part = self.part
        fill: dict[str, Callable[[Messages, str], tables.Table]] = {
            "nodes": tables.nodes,
            "pairs": tables.pairs,
            "pools": tables.pools,
            "letters": tables.letters,
        }
        found = tables.log(self._rows()) if part == "log" else fill[part](self.seen, self.wanted)
        self.table(part).fill(found.lines)
        hidden = found.total - len(found.lines)
        more = self.query_one("#more", Static)
        more.display = hidden > 0
        more.update(Text(f"… {hidden:,} more: / finds them", "dim"))

    def _rows(self) -> list[dict[str, Any]]:
        """Return the latest rows of the log; with a filter those that a search of it found, so that rare events are
        seen; and until it has, those of the latest rows that match."""
        rows = list(self.seen.log)
        if not self.wanted:
            return rows
        self._search_where_due(rows[-1]["id"] if rows else "")
        return self._found if self._found_for == self.wanted else [row for row in rows if matches(row, self.wanted)]

    def _search_where_due(self, newest: str) -> None:
        wanted, last, when = self._searched
        since = anyio.current_time() - when
        under_way = self._search is not None and self._search.is_running
        if wanted != self.wanted or (newest != last and since > SEARCH_S and not under_way):
            pause_s = TYPING_S if wanted != self.wanted else 0
            self._searched = self.wanted, newest, anyio.current_time()
            self._search = self._beside("search", self._find(self.wanted, pause_s))

    async def _find(self, wanted: str, pause_s: float) -> None:
        await anyio.sleep(pause_s)
        self._found = (await latest_rows(self._lens(), END, wanted, FOUND)).rows
        self._found_for = wanted
        self.show()

    def _beside(self, what: str, work: Coroutine[Any, Any, None]) -> Worker[None]:
        """Run a slow action in place of the previous one of its kind; keys still work meanwhile."""

        async def run() -> None:
            try:
                await work
            except (SchedulerError, RedisError, OSError) as problem:
                self.notify(one_line(mask(str(problem))), severity="error", markup=False)

        return self.run_worker(run(), group=what, exclusive=True)

    def _lens(self) -> FilteredHistory:
        return FilteredHistory(self.watcher.history(), self.watcher.index, END)

    # ---- keys --------------------------------------------------------------------------------------------------------

    def action_part(self, part: str) -> None:
        """Show another table."""
        self.query_one(TabbedContent).active = part
        self.table(part).focus()
        self.show()

    def on_tabbed_content_tab_activated(self) -> None:
        self.show()

    def action_filter(self) -> None:
        """Ask for a filter."""
        box = self.query_one("#filter", Input)
        box.display = True
        box.focus()

    def action_clear(self) -> None:
        """Show everything again."""
        self.query_one("#filter", Input).value = ""
        self._leave_filter()

    def on_input_changed(self, event: Input.Changed) -> None:
        self.wanted = event.value.strip()
        self.show()

    def on_input_submitted(self) -> None:
        self._leave_filter()

    def _leave_filter(self) -> None:
        self.query_one("#filter").display = bool(self.wanted)
        self.table(self.part).focus()
        self.show()

    def action_keys(self) -> None:
        """Show the keys."""
        self.push_screen(KeysScreen(), self._back)

    def action_interrupt(self) -> None:
        """End as Ctrl-C does."""
        self.exit(return_code=INTERRUPTED)

    def _back(self, _: None) -> None:
        self.show()  # what came while another screen was open

    def on_data_table_row_selected(self, event: DataTable.RowSelected) -> None:
        """Open the subject of the row."""
        line = self.table(self.part).under_cursor
        if line is None or not line.about.kind:
            return
        if line.about.kind == "pool":
            self.query_one("#filter", Input).value = tables.of_pool(line.about.name)
            self.action_part("nodes")
            self._leave_filter()
        else:
            self.open(line.about)

    def open(self, about: tables.About) -> None:
        """Open the story of a job, node or session, or of the job of a pair that waits longest."""
        self._beside("story", self._open(about))

    async def _open(self, wanted: tables.About) -> None:
        kind, name = wanted
        source = self.watcher.source
        if kind == "pair":
            first = await source.redis.zrange(source.keys("waiting", *name.split(":")), 0, 0)
            if not first:
                self.notify(one_line(f"no job of {name} waits"), markup=False)
                return
            kind, name = "job", first[0]
        details = await about(source.redis, self._lens(), kind, name, operator=False)
        if details is None:
            self.notify(one_line(f"nothing is known of {kind} {name} any more"), severity="warning", markup=False)
        else:
            self.push_screen(StoryScreen(details, self.open), self._back)
