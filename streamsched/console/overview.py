"""A partition as tables."""

from __future__ import annotations

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ..sanitize import one_line
from ..state.nodes import NodeView
from ..state.overview import Overview
from ..state.pairs import PairView
from ..state.partition import PartitionView

CONDITION = {"ok": "green", "rebuilding": "yellow", "halted": "bold red", "gap": "bold red", "wiped": "bold red"}

TOO_MUCH = {"waiting": "too many jobs wait", "memory": "the server's memory is nearly full"}

IN_FLOW = ("submitted", "waiting", "held", "requeued")

ENDED = ("finished", "failed", "cancelled", "expired", "refused")


def render(overview: Overview) -> RenderableType:
    """Lay out an overview for the terminal."""
    return Group(_partition(overview), render_state(overview))


def render_state(overview: Overview) -> RenderableType:
    """Lay out the folded state, without what is only true of the present."""
    parts: list[RenderableType] = [_counters(overview)]
    if overview.paused:
        parts.append(_paused(overview))
    if overview.waiting or overview.delayed:
        parts.append(_pairs(overview))
    parts += [_nodes(overview), _pools(overview)]
    if overview.sources:
        parts.append(_sources(overview))
    return Group(*parts)


def _plain(text: str, style: str = "") -> Text:
    # clients choose names and reasons: their markup and control characters must have no effect
    return Text(one_line(text), style=style)


def _age(then_ts: int | None, now_ts: int) -> str:
    if then_ts is None:
        return "never"
    seconds = max(0, now_ts - then_ts) / 1000
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"


def _table(title: str, *columns: str) -> Table:
    """Make a table; columns whose name starts with ``#`` hold numbers."""
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column.removeprefix("#"), justify="right" if column.startswith("#") else "left")
    return table


def _partition(overview: Overview) -> RenderableType:
    p = overview.partition
    lag = "unknown" if p.lag is None else str(p.lag)
    workers = "unknown" if p.workers is None else p.workers
    line: RenderableType = Text.assemble(
        (f"{p.namespace}:{{{p.partition}}}", "bold"),
        "  ",
        (p.condition, CONDITION[p.condition]),
        f"  folded {p.folded}  lag {lag}  watermark {p.watermark}  log {p.log_length}  workers {workers}",
        f"  last call {_age(p.last_call_ts, p.now_ts)} ago" if p.last_call_ts else "  nothing has been folded yet",
    )
    for warning in p.warnings:
        line = Group(line, _plain(warning, "red"))
    if p.trouble:
        return Group(line, _plain(p.trouble, "red"))
    if p.overload:
        causes = ", ".join(f"{TOO_MUCH[cause]} for {_age(since, p.now_ts)}" for cause, since in p.overload.items())
        line = Group(line, Text(f"overloaded: {causes}; {p.shed} submissions were refused", "yellow"))
    if p.workers is None:
        return Group(line, Text("read from a replica, which may be behind, or a server that does not say", "yellow"))
    if p.workers == 0:
        return Group(line, Text("no worker runs: timers wait for one; start `streamsched worker`", "yellow"))
    return line


def _counters(overview: Overview) -> RenderableType:
    c = overview.counters
    ended = "  ".join(f"{name} {c[name]}" for name in ENDED)
    return Text.assemble("  ".join(f"{name} {c[name]}" for name in IN_FLOW), "\n", ended, *_letters(overview.partition))


def _letters(p: PartitionView) -> list[Text]:
    if not p.dead_letters:
        return [Text("  dead letters 0")]
    codes = "  ".join(f"{code} {count}" for code, count in p.letters_by_code.items())
    others = "handled or lost" if p.lost_letters else "handled"
    seen = f" of {p.dead_letters}, the others were {others}" if p.open_letters < p.dead_letters else ""
    open_ = Text(f"  dead letters {p.open_letters}{seen}", "red" if p.open_letters else "")
    lost = f"\n  {p.lost_letters} of them lost: there were more than max_letters, or max_letters_bytes"
    return [open_, Text(lost if p.lost_letters else "", "red"), Text(f"\n  by code: {codes}" if codes else "")]


def _pairs(overview: Overview) -> RenderableType:
    table = _table("waiting jobs by language pair", "pair", "#waiting", "#pools", "#open pools", "first job", "why")
    for pair in overview.waiting:
        table.add_row(
            _plain(f"{pair.src_lang} → {pair.tgt_lang}"),
            str(pair.waiting),
            str(pair.pools),
            str(pair.open_pools),
            _plain(pair.first_job_id),
            _why(pair),
        )
    notes = _more(overview.waiting_pairs_total - len(overview.waiting), "pairs")
    if overview.delayed:
        notes.append(Text(f"{overview.delayed} more wait for not_before_ts or for the delay before a retry"))
    if not overview.waiting_pairs_complete:
        notes.append(Text("the keyspace is large: pairs may be missing here", "yellow"))
    return Group(table, *notes)


def _why(pair: PairView) -> str:
    if pair.paused:
        return "paused"
    return "no pool serves it" if not pair.pools else "no node can receive it now" if not pair.open_pools else ""


def _paused(overview: Overview) -> RenderableType:
    lines: list[RenderableType] = []
    for pause in overview.paused:
        because = f": {pause.reason}" if pause.reason else ""
        age = _age(pause.since_ts, overview.partition.now_ts)
        lines.append(_plain(f"paused: {pause.title} for {age}{because}", "yellow"))
    return Group(*lines, *_more(overview.paused_total - len(overview.paused), "pauses"))


def _nodes(overview: Overview) -> RenderableType:
    title = f"nodes: {overview.nodes_online} of {overview.nodes_total} online"
    table = _table(title, "node", "state", "#held", "pools", "#last beat")
    for node in overview.nodes:
        table.add_row(
            _plain(node.node_id),
            _state(node),
            str(node.held),
            _plain(" ".join(node.pools)),
            _age(node.last_heartbeat_ts, overview.partition.now_ts),
        )
    troubles = [_plain(f"node {one.node_id} is in trouble: {one.trouble}", "red") for one in overview.troubles]
    more = _more(overview.nodes_total - len(overview.nodes), "nodes")
    return Group(table, *more, *troubles, *_more(overview.troubles_total - len(overview.troubles), "nodes in trouble"))


def _state(node: NodeView) -> Text:
    if node.open:
        return Text("open", "green")
    if node.cordoned and not node.online:
        return _plain(f"offline, {'cordoned: ' + node.cordon_reason if node.cordon_reason else 'cordoned'}", "red")
    return _plain(node.why_closed, "yellow" if node.online else "red")


def _pools(overview: Overview) -> RenderableType:
    table = _table("pools", "pool", "languages", "#members", "#open")
    for pool in overview.pools:
        name = pool.pool_id if pool.name in ("", pool.pool_id) else f"{pool.pool_id} ({pool.name})"
        able = "paused" if pool.paused else str(pool.open)
        table.add_row(_plain(name), _plain(" ".join(pool.languages)), str(pool.members), able)
    return Group(table, *_more(overview.pools_total - len(overview.pools), "pools"))


def _sources(overview: Overview) -> RenderableType:
    table = _table("sources", "source", "writes as", "#waiting", "#rate", "#jobs", "#dropped", "last limit exceeded")
    for source in overview.sources:
        role = f"node {source.node_id}" if source.node_id else source.role
        waiting = "no stream" if source.waiting is None else str(source.waiting)
        beyond = f"{source.limited_cause}, {_age(source.limited_ts, overview.partition.now_ts)} ago"
        table.add_row(
            _plain(source.source),
            _plain("revoked: its jobs are cancelled" if source.cancelling else role),
            waiting,
            f"{source.rate}/s",
            str(source.living),
            str(source.dropped),
            _plain(beyond if source.limited_cause else "", "yellow"),
        )
    return Group(table, *_more(overview.sources_total - len(overview.sources), "sources"))


def _more(count: int, what: str) -> list[RenderableType]:
    return [Text(f"… and {count} more {what} (--limit shows more)", "dim")] if count > 0 else []
