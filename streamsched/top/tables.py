"""The tables: worst rows first, filtered, and of bounded length."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from glob import escape
from heapq import nsmallest
from typing import Any, NamedTuple

from rich.text import Text

from ..console.events import event_style, moment
from ..contract.entries import position
from ..history.filter import matches
from ..history.rows import SUBJECTS, subjects
from ..history.story import span_words
from ..sanitize import one_line
from ..state.node_table import CORDONED, FULL, OFFLINE, OPEN, UNWILLING
from .messages import Messages

LONGEST = 200
"""Rows of a table: with ten thousand nodes, a filter finds what these do not show."""

HEALTH = {
    OFFLINE: ("offline", "red"),
    UNWILLING: ("not accepting", "yellow"),
    CORDONED: ("cordoned", "yellow"),
    FULL: ("full", "cyan"),
    OPEN: ("open", "green"),
}
"""In order of urgency for an operator."""

CLOSED = tuple(letter for letter in reversed(HEALTH) if letter != OPEN)
"""States without new jobs, in the order of a pool's columns."""

_ORDER = {letter: n for n, letter in enumerate(HEALTH)}

POOL = "pool_id="
"""How a word of a filter begins that asks for a pool, of which a node may have several."""


class About(NamedTuple):
    """The subject of a row."""

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
    # clients choose names and reasons: their markup and control characters must have no effect
    return Text(one_line(str(text)), style=style)


def nodes(seen: Messages, wanted: str) -> Table:
    """Nodes by health, those that hold most first; ``pool_id=pattern`` asks for those of a pool."""
    words = wanted.casefold().split()
    of_pools = [word for word in words if word.startswith(POOL)]
    rest = " ".join(word for word in words if word not in of_pools)
    fits = [
        all(any(_found(word, pool, pool_id=pool) for pool in pools) for word in of_pools) for pools in seen.pool_sets
    ]
    numbers = [
        n for n in range(len(seen.ids)) if fits[seen.pools[n]] and (not rest or matches(_node_row(seen, n), rest))
    ]
    shown = nsmallest(LONGEST, numbers, lambda n: (_ORDER[seen.health[n]], -seen.held[n], seen.ids[n]))
    lines = []
    for n in shown:
        name, pools = seen.ids[n], " ".join(seen.pools_of(n))
        cells = (_plain(name), _plain(*HEALTH[seen.health[n]]), _plain(seen.held[n]), _plain(pools))
        lines.append(Line(name, cells, About("node", name)))
    return Table(lines, len(numbers))


def of_pool(pool: str) -> str:
    """Return the filter that leaves the nodes of a pool."""
    return POOL + re.sub(r"\s", "?", escape(pool))


def _node_row(seen: Messages, n: int) -> dict[str, Any]:
    pools = " ".join(seen.pools_of(n))
    return {"id": seen.ids[n], "type": HEALTH[seen.health[n]][0], "words": pools, "fields": {"node_id": seen.ids[n]}}


def pairs(seen: Messages, wanted: str) -> Table:
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
        if _found(wanted, pair, served[0], src_lang=src, tgt_lang=tgt):
            lines.append(Line(pair, cells, About("pair", pair)))
    return Table(lines[:LONGEST], len(lines))


def pools(seen: Messages, wanted: str) -> Table:
    """Pools by the health of their nodes, those first that can take no job."""
    lines = []
    health = seen.health_by_pool()
    rows = sorted(seen.sections.get("pools", ()), key=lambda row: bool(row[4]) and not row[5])
    for pool, name, languages, members, able, paused in rows:
        title = pool if name in ("", pool) else f"{pool} ({name})"
        if not _found(wanted, title, " ".join(languages), pool_id=pool):
            continue
        counts = [(health[pool][letter], HEALTH[letter][1]) for letter in CLOSED]
        cells = (
            _plain(title),
            _plain(" ".join(languages)),
            _plain(members),
            _plain("paused", "yellow") if paused else _plain(able, "green" if able else "red"),
            *(_plain(count, style if count else "dim") for count, style in counts),
        )
        lines.append(Line(pool, cells, About("pool", pool)))
    return Table(lines[:LONGEST], len(lines))


def letters(seen: Messages, wanted: str) -> Table:
    """Open dead letters, the latest first."""
    lines = []
    for letter in seen.sections.get("letters", ()):
        kind, subject, why = letter["type"], letter["subject"], letter["why"]
        if _found(wanted, why, kind, subject):
            about = About(kind.partition(".")[0], subject)
            cells = (_when(letter["event"]), _plain(kind), _plain(subject), _plain(why, "red"))
            lines.append(Line(letter["id"], cells, about if about.kind in SUBJECTS and subject else NOTHING))
    return Table(lines[:LONGEST], len(lines))


def log(rows: Iterable[dict[str, Any]]) -> Table:
    """Events, the latest first."""
    lines = []
    for row in rows:
        about = next(_named(row["fields"]), NOTHING)
        cells = (_when(row["id"]), _plain(row["type"], event_style(row["type"])), _plain(about.name), _words(row))
        lines.append(Line(row["id"], cells, about))
    lines.reverse()
    return Table(lines[:LONGEST], len(lines))


def steps(details: dict[str, Any]) -> list[Line]:
    """A story, the first step first, and what a node holds behind it; each line leads to what it is about besides."""
    lines = []
    self_ = About(details["kind"], details["id"])
    for step in details["steps"]:
        about = next((named for named in _named(step["fields"]) if named != self_), NOTHING)
        after = "" if step["after_ms"] is None else f"+{span_words(step['after_ms'])}"
        when = Text(moment(step["ts"])[5:], "dim")
        cells = (when, _plain(after), _plain(step["type"], event_style(step["type"])), _plain(about.name), _words(step))
        lines.append(Line(step["id"], cells, about))
    for job in details.get("jobs", ()):
        cells = (Text("now", "dim"), Text(""), Text("holds", "bold"), _plain(job), _plain(f"job {job}"))
        lines.append(Line(f"holds {job}", cells, About("job", job)))
    return lines


def _named(fields: dict[str, str]) -> Iterator[About]:
    return (About(*subject) for subject in subjects(fields))


def _words(row: dict[str, Any]) -> Text:
    words = _plain(row["words"])
    if row.get("refused"):
        words.append(f"  ✗ {one_line(row['refused'])}", "red")
    return words


def _when(entry_id: str) -> Text:
    return Text(moment(position(entry_id)[0])[11:], "dim")


def _found(wanted: str, *texts: str, **fields: str) -> bool:
    row = {"id": texts[0], "type": "", "words": " ".join(texts), "fields": fields}
    return not wanted or matches(row, wanted)
