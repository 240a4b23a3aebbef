"""What is seen of a partition as tables: worst first, filtered, and never longer than anybody scrolls."""

from __future__ import annotations

from collections.abc import Iterable
from heapq import nsmallest
from typing import Any, NamedTuple

from rich.text import Text

from ..cli_trace import event_style, moment
from ..dashboard.nodes import CORDONED, FULL, OFFLINE, OPEN, UNWILLING
from ..entries import position
from ..rows import matches
from ..shown import one_line
from .seen import Seen

LONGEST = 200
"""Rows of a table: with ten thousand nodes, a filter finds what these do not show."""

HEALTH = {
    OFFLINE: ("offline", "red"),
    UNWILLING: ("not accepting", "yellow"),
    CORDONED: ("cordoned", "yellow"),
    FULL: ("full", "cyan"),
    OPEN: ("open", "green"),
}
"""In the order in which an operator wants to hear of them."""

_ORDER = {letter: n for n, letter in enumerate(HEALTH)}


KINDS = ("job", "node", "session")
"""Of what an event may speak, what it speaks of first."""


class About(NamedTuple):
    """What a row is about, for whoever opens it."""

    kind: str
    """``job``, ``node``, ``session``, ``pair`` or ``pool``; empty if there is nothing to open."""
    name: str


NOTHING = About("", "")


class Line(NamedTuple):
    """One row."""

    key: str
    cells: tuple[Text, ...]
    about: About


class Table(NamedTuple):
    """Rows, and how many there are in all."""

    lines: list[Line]
    total: int


def _plain(text: object, style: str = "") -> Text:
    # names and reasons come from anybody: neither markup nor control characters of theirs take effect
    return Text(one_line(str(text)), style=style)


def nodes(seen: Seen, wanted: str) -> Table:
    """Nodes by health, those that hold most first."""
    numbers = [n for n in range(len(seen.ids)) if not wanted or matches(_node_row(seen, n), wanted)]
    shown = nsmallest(LONGEST, numbers, lambda n: (_ORDER[seen.health[n]], -seen.held[n], seen.ids[n]))
    lines = []
    for n in shown:
        name, pools = seen.ids[n], " ".join(seen.pools_of(n))
        cells = (_plain(name), _plain(*HEALTH[seen.health[n]]), _plain(seen.held[n]), _plain(pools))
        lines.append(Line(name, cells, About("node", name)))
    return Table(lines, len(numbers))


def _node_row(seen: Seen, n: int) -> dict[str, Any]:
    pools = " ".join(seen.pools_of(n))
    return {"id": seen.ids[n], "type": HEALTH[seen.health[n]][0], "words": pools, "fields": {"node_id": seen.ids[n]}}


def pairs(seen: Seen, wanted: str) -> Table:
    """Language pairs, those first whose jobs wait and cannot go anywhere."""
    lines = []
    for src, tgt, waiting, pools, open_pools, able, paused in seen.sections.get("pairs", ()):
        pair = f"{src}:{tgt}"
        served = (
            ("paused", "yellow") if paused
            else ("no pool serves it", "red") if not pools
            else ("no node may receive it now", "yellow") if not open_pools
            else (f"{able} nodes of {open_pools} pools", "green")
        )  # fmt: skip
        cells = (_plain(f"{src} → {tgt}"), _plain(waiting, "bold" if waiting else "dim"), _plain(*served))
        if _found(wanted, pair, served[0]):
            lines.append(Line(pair, cells, About("pair", pair)))
    return Table(lines[:LONGEST], len(lines))


def pools(seen: Seen, wanted: str) -> Table:
    """Pools, by name."""
    lines = []
    for pool, name, languages, members, able, paused in seen.sections.get("pools", ()):
        state = ("paused", "yellow") if paused else (str(able), "green" if able else "red")
        title = pool if name in ("", pool) else f"{pool} ({name})"
        if _found(wanted, title, " ".join(languages)):
            cells = (_plain(title), _plain(" ".join(languages)), _plain(members), _plain(*state))
            lines.append(Line(pool, cells, About("pool", pool)))
    return Table(lines[:LONGEST], len(lines))


def letters(seen: Seen, wanted: str) -> Table:
    """Dead letters that nobody has seen to, the latest first."""
    lines = []
    for letter in seen.sections.get("letters", ()):
        kind, subject, why = letter["type"], letter["subject"], letter["why"]
        if _found(wanted, why, kind, subject):
            about = About(kind.partition(".")[0], subject)
            cells = (_when(letter["event"]), _plain(kind), _plain(subject), _plain(why, "red"))
            lines.append(Line(letter["id"], cells, about if about.kind in KINDS and subject else NOTHING))
    return Table(lines[:LONGEST], len(lines))


def log(rows: Iterable[dict[str, Any]]) -> Table:
    """Events, the latest first."""
    lines = []
    for row in rows:
        words = _plain(row["words"])
        if row.get("refused"):
            words.append(f"  ✗ {one_line(row['refused'])}", "red")
        named = [About(kind, row["fields"][f"{kind}_id"]) for kind in KINDS if f"{kind}_id" in row["fields"]]
        about = named[0] if named else NOTHING
        cells = (_when(row["id"]), _plain(row["type"], event_style(row["type"])), _plain(about.name), words)
        lines.append(Line(row["id"], cells, about))
    lines.reverse()
    return Table(lines[:LONGEST], len(lines))


def _when(entry_id: str) -> Text:
    return Text(moment(position(entry_id)[0])[11:], "dim")


def _found(wanted: str, *texts: str) -> bool:
    row = {"id": texts[0], "type": "", "words": " ".join(texts), "fields": {}}
    return not wanted or matches(row, wanted)
