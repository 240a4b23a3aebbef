"""Nodes: who is there, who accepts, who belongs to which pool."""

from __future__ import annotations

from collections import Counter
from itertools import permutations

from ..contract import FORGET_MS, LAST_WINDOW, LONGEST_RUN_MS
from ..pools import MOST_SETS
from ..pools import Entry as PoolEntry
from ..refusals import Refused, require
from ..state import Node, Pool, State
from .registry import Entry, folds
from .sources import charge_pools, discharge_pool, speaker


def known(state: State, node_id: str) -> Node:
    """Return a node that has registered; any other is refused."""
    if node_id not in state.nodes:
        raise Refused("UNKNOWN_NODE")
    return state.nodes[node_id]


def hears(node: Node, at: int, online: bool, accepting: bool | None, room: int | None = None) -> None:
    """Take in what is now known of a node's presence.

    Who comes back accepts, unless it says otherwise, and what was learnt of its size is forgotten. Who says that it
    accepts although it was full is asked for twice as much. What it says itself of its room stands above that.
    """
    if online != node.online:
        node.online, node.since_ts = online, at
        if online:
            node.forget_size()
            accepting = accepting is not False
    elif accepting and node.full_at is not None:
        node.full_at = node.full_at * 2 + 1
    if accepting is not None:
        node.accepting = accepting
    if room is not None:
        says_room(node, at, room)


def says_room(node: Node, at: int, room: int | None) -> None:
    """A node says how many assignments it would take, beside those that it has begun."""
    if room is not None:
        node.room, node.room_ts, node.full_at = room, at, None


def learn_speed(state: State, node: Node, pair: tuple[str, str], at: int, run_ms: int) -> None:
    """A node finished a job: put its run time against the mean of the pair."""
    sample = (min(run_ms, LONGEST_RUN_MS) + 1) * 1024
    mean = state.run_means.get(pair)
    if mean is None:
        if not state.pools_of(pair):
            return
        mean = sample
    halved = 2 ** min((at - (at if node.learned_ts is None else node.learned_ts)) // FORGET_MS, 20)
    speed, samples = 1024 + ((node.speed or 1024) - 1024) // halved, node.samples // halved
    ratio = max(64, min(sample * 1024 // mean, 16384))
    node.speed = speed + (ratio - speed) // (samples + 5)
    node.samples, node.learned_ts = min(samples + 1, 28), at
    state.run_means[pair] = mean + (sample - mean) // 32


def begun_all(node: Node) -> None:
    """Trust a node that has started everything it was given with twice as many."""
    if not node.unread and node.window < LAST_WINDOW:
        node.window *= 2


def amount(word: str | None) -> int | None:
    """Read a number; what was not said stays unknown."""
    return None if word is None else int(word)


def flag(word: str | None) -> bool | None:
    """Read ``true`` or ``false``; what was not said stays unknown."""
    return None if word is None else word == "true"


@folds("node.registered")
def registered(
    state: State,
    entry: Entry,
    node_id: str,
    cap_json: str,
    pool_names_json: list[PoolEntry] | None,
    mailbox: str | None,
    incarnation: str | None,
) -> None:
    """A node announces itself and is there from now on; announcing anything else replaces what it said before."""
    listed = entry.raw.get("pool_names_json")
    node = state.nodes.get(node_id)
    same = node and (node.cap_json, node.pool_names_json, node.mailbox) == (cap_json, listed, mailbox)
    theirs = [pool for pool in pool_names_json or [] if pool.pool_id in state.pools]
    changed = any(state.pools[pool.pool_id].languages != pool.languages for pool in theirs)
    new = [pool for pool in pool_names_json or [] if pool.pool_id not in state.pools]
    created = {pool.pool_id: len(pool.languages) * (len(pool.languages) - 1) for pool in new}
    if not same and speaker(state, entry.raw) and changed:
        raise Refused("NOT_PERMITTED")
    if not same:
        check_sets(state, pool_names_json or [])
        charge_pools(state, entry.raw, created)
    node = state.nodes.setdefault(node_id, Node(since_ts=entry.at))
    state.had_nodes = True
    if incarnation not in (None, node.incarnation):
        node.forget_size()
        node.window = 1
    node.incarnation = incarnation or node.incarnation or entry.entry_id
    if not node.online:
        hears(node, entry.at, True, None)
    if same:
        return
    node.cap_json, node.pool_names_json, node.mailbox = cap_json, listed, mailbox
    left, node.pools = node.pools, [pool.pool_id for pool in pool_names_json or []]
    for pool in pool_names_json or []:
        before = state.pools.get(pool.pool_id)
        maker = before.source if before else None
        if pool.pool_id in created and speaker(state, entry.raw):
            maker = f"{entry.raw['source']} {created[pool.pool_id]}"
        state.pools[pool.pool_id] = Pool(pool.name, pool.languages, source=maker)
    note_empty(state, entry, left)
    forget_means(state)


def forget_means(state: State) -> None:
    """Of pairs that no pool serves any more nothing is known."""
    state.run_means = {pair: mean for pair, mean in state.run_means.items() if state.pools_of(pair)}


def check_sets(state: State, listed: list[PoolEntry]) -> None:
    """A pair is served by a bounded number of sets of languages; one that the event leaves still counts."""
    before = {pool.language_set for pool in state.pools.values()}
    after = {pool_id: pool.language_set for pool_id, pool in state.pools.items()}
    after |= {pool.pool_id: " ".join(sorted(pool.languages)) for pool in listed}
    new = set(after.values()) - before
    served = Counter(pair for languages in before | new for pair in permutations(languages.split(), 2))
    if new and any(served[pair] > MOST_SETS for languages in new for pair in permutations(languages.split(), 2)):
        raise Refused("INVALID_FIELD")


def note_empty(state: State, entry: Entry, left: list[str]) -> None:
    """Note since when pools that a node has left have no member."""
    for pool_id in left:
        if not state.members(pool_id):
            state.pools[pool_id].empty_ts = entry.at


@folds("node.heartbeat")
def heartbeat(
    state: State,
    entry: Entry,
    node_id: str,
    online: str,
    load_json: str | None,
    accepting: str | None,
    room: int | None,
    trouble: str | None,
    incarnation: str | None,
) -> None:
    """A beat that its sender put on the log: the change of presence is this fact itself."""
    node = known(state, node_id)
    if incarnation not in (None, node.incarnation):
        raise Refused("NODE_SUPERSEDED")
    younger = room != node.room and entry.at > (node.room_ts or 0)
    hears(node, entry.at, online == "true", flag(accepting), room if younger else None)


@folds("node.offline")
def offline(state: State, entry: Entry, node_id: str, reason: str | None) -> None:
    """A node is reported as gone."""
    hears(known(state, node_id), entry.at, False, None)


@folds("node.cordoned")
def cordoned(state: State, entry: Entry, node_id: str, reason: str | None) -> None:
    """No new jobs for a node."""
    node = known(state, node_id)
    node.cordoned, node.cordon_reason = True, reason or ""


@folds("node.drained")
def drained(state: State, entry: Entry, node_id: str, reason: str | None) -> None:
    """No new jobs, and what it has not started comes back."""
    node = known(state, node_id)
    node.cordoned, node.cordon_reason = True, reason or "drained"


@folds("node.uncordoned")
def uncordoned(state: State, entry: Entry, node_id: str, reason: str | None) -> None:
    """New jobs again."""
    node = known(state, node_id)
    node.cordoned, node.cordon_reason = False, None


@folds("node.retired")
def retired(state: State, entry: Entry, node_id: str, reason: str | None) -> None:
    """A node is forgotten."""
    node = known(state, node_id)
    if node.online or node.held:
        raise Refused("NODE_IN_USE")
    del state.nodes[node_id]
    note_empty(state, entry, node.pools)


@folds("pool.retired")
def pool_retired(state: State, entry: Entry, pool_id: str) -> None:
    """A pool without members is forgotten."""
    if state.members(pool_id) or f"pool {pool_id}" in state.paused:
        return
    require(pool_id in state.pools, f"there is no pool {pool_id}")
    empty_ts = state.pools[pool_id].empty_ts
    require(entry.at >= empty_ts + state.config("node_retention_ms"), f"{pool_id} has been empty since {empty_ts} only")
    discharge_pool(state, pool_id, state.pools.pop(pool_id).source)
    forget_means(state)


def decided_about(state: State, node_id: str) -> Node:
    """Return the node of a decision."""
    require(node_id in state.nodes, f"{node_id} has never registered")
    return state.nodes[node_id]


@folds("node.expired")
def expired(state: State, entry: Entry, node_id: str, last_heartbeat_ts: str) -> None:
    """A node was silent for longer than it may; what is softer than its presence, its beats, the log cannot tell."""
    node = decided_about(state, node_id)
    require(node.online, f"{node_id} is offline already")
    heard = max(node.since_ts, state.resumed_ts or 0)
    require(entry.at >= heard + state.config("heartbeat_timeout_ms"), f"{node_id} was heard of at {heard}")
    hears(node, entry.at, False, None)
    state.counted["expired_nodes"] += 1


@folds("node.recovered")
def recovered(state: State, entry: Entry, node_id: str, accepting: str, room: str | None) -> None:
    """A beat showed that a node is there."""
    node = decided_about(state, node_id)
    require(not node.online, f"{node_id} is online already")
    hears(node, entry.at, True, flag(accepting), amount(room))


@folds("node.reported")
def reported(state: State, entry: Entry, node_id: str, online: str, accepting: str, room: str | None) -> None:
    """A beat said that a node goes, pauses, or takes up work again."""
    node = decided_about(state, node_id)
    came = online == "true" and not node.online
    news = online != ("true" if node.online else "false") or flag(accepting) != node.accepting
    news = news or (room is not None and int(room) != node.room)
    full = accepting == "true" and node.full_at is not None and not node.is_open
    require(not came and (news or full), f"{node_id} is just what the beat said")
    hears(node, entry.at, online == "true", flag(accepting), amount(room))
