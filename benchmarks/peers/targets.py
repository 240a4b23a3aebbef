"""What was aimed at, as ratios within one run; where a peer is ahead, this says so."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ..harness.figures import number
from ..harness.plots import Curve
from .catalogue import OURS, PEERS, Peer

SERVER = (
    "the server's one core is the bound: fewer instructions in `advance` (docs/performance.md says where they go), or "
    "partitions on servers of their own"
)
CALL = (
    "a lone call reads where the partition stands, folds and decides: a tenth of a millisecond of script, two where it "
    "has gone cold between calls; the others push onto a list"
)
TAKES = (
    ("drain, one process", SERVER),
    ("drain, two processes", SERVER),
    (
        "drain with AOF",
        "a fact is written to the log and folded into the state, and the file takes both: fewer fields written twice",
    ),
    ("bulk submit", "no entry for the reply in each job: without a reply it is passed"),
    ("enqueue to start", CALL),
    ("submit to result", CALL + "; here two of these calls stand one behind the other"),
    ("dispatch_task", CALL),
    ("server CPU", SERVER),
    (
        "server memory of a waiting job",
        "the log alone takes two thirds of theirs; the job's hash holds the payload once more, and key, hash and queue "
        "take more than is left without it: a waiting job would have to be an entry of the log and nothing else",
    ),
    ("idle: commands", "most are counted within the script of a heartbeat; the clients send a quarter of them"),
)
"""What would have to change where a target is missed, by the beginning of its name."""

Medians = Mapping[str, Mapping[str, float]]
"""For each peer and figure, the median over the rounds of the first setting."""


@dataclass(frozen=True)
class Target:
    """A ratio and its bound."""

    what: str
    bound: float
    at_most: bool
    value: float | None
    """None: it could not be measured."""
    note: str = ""

    @property
    def reached(self) -> bool | None:
        if self.value is None:
            return None
        return self.value <= self.bound if self.at_most else self.value >= self.bound

    @property
    def takes(self) -> str:
        """What would have to change; empty if it is reached, or unknown."""
        if self.reached is not False:
            return ""
        return next((words for name, words in TAKES if self.what.startswith(name)), "")


def best(
    medians: Medians, figure: str, among: Callable[[Peer], bool], lowest: bool = False
) -> tuple[str, float] | None:
    """Who is the best in a figure, and how good."""
    found = [(p.name, medians[p.name][figure]) for p in PEERS if among(p) and figure in medians.get(p.name, {})]
    return (min if lowest else max)(found, key=lambda one: one[1]) if found else None


def product(peer: Peer) -> bool:
    return not (peer.ours or peer.baseline)


def against_peers(medians: Medians) -> list[Target]:
    """The targets that compare us with peers."""
    ours = medians.get(OURS, {})

    def one(name: str) -> Callable[[Peer], bool]:
        return lambda peer: peer.name == name

    def ratio(
        what: str, figure: str, among: Callable[[Peer], bool], bound: float, at_most: bool = False, mine: str = OURS
    ) -> Target:
        other, value = best(medians, figure, among, lowest=at_most), medians.get(mine, {}).get(figure)
        if other is None or not value:
            return Target(what, bound, at_most, None)
        return Target(
            what, bound, at_most, value / other[1], f"{number(value)} against {number(other[1])} ({other[0]})"
        )

    node, ardiq = one("BullMQ (Node.js)"), one("ardiq")
    rows = [
        ratio("drain, one process, against BullMQ on Node.js", "drain", node, 1.0),
        ratio("drain, one process, against ardiq", "drain", ardiq, 1.8),
        ratio("drain, one process, against the best in pure Python", "drain", lambda p: p.pure_python, 5.0),
        ratio("drain, two processes, against the best", "drain_two", product, 1.2),
        ratio("bulk submit, against the raw floor's XADD", "bulk", one("raw floor"), 1.0),
        ratio("the same, without a reply", "bulk", one("raw floor"), 1.0, mine=f"{OURS} quiet"),
        ratio("enqueue to start, p50 at 200/s, against the best", "start_p50", product, 1.0, True),
        ratio("enqueue to start, p99 at 200/s, against the best", "start_p99", product, 1.0, True),
        ratio("submit to result, p50, against the best", "trip_p50", product, 0.7, True),
        ratio("server CPU of a whole job, against BullMQ on Node.js", "server_life", node, 1.2, True),
        ratio("server memory of a waiting job, against BullMQ on Node.js", "waiting", node, 1.0, True),
    ]
    for what, figure, bound, unit in (
        ("idle: commands of one worker", "idle_commands", 5.0, "1/s"),
        ("idle: CPU of one worker", "idle_client", 0.2, "%"),
    ):
        rows.append(Target(f"{what} [{unit}]", bound, True, ours.get(figure)))
    return rows


def against_lua(nodes: Curve) -> list[Target]:
    """``dispatch_task`` against a script that walks the pool."""
    ours, direct = dict(nodes.get("streamsched", [])), dict(nodes.get("direct Lua", []))
    rows = []
    for size, bound in ((10, 1.4), (200, 1.0), (10_000, 1 / 30)):
        value = ours[size] / direct[size] if size in ours and size in direct else None
        note = f"{ours[size]:,.0f} µs against {direct[size]:,.0f} µs" if value else ""
        rows.append(Target(f"dispatch_task at {size:,} nodes, against direct Lua", bound, True, value, note))
    return rows


def against_no_persistence(without: Medians, with_aof: Medians, program: str) -> Target:
    """What an append-only file costs us."""
    one, other = with_aof.get(OURS, {}).get("drain"), without.get(OURS, {}).get("drain")
    value = one / other if one and other else None
    note = f"{one:,.0f} against {other:,.0f} jobs/s" if one and other else ""
    return Target(f"drain with AOF everysec, against none ({program})", 0.85, False, value, note)
