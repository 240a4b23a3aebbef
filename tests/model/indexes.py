"""Every key of the state, defined by what it follows from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import permutations
from typing import Any

from .state import HELD, Job, Node, Session, Source, State

Value = dict[str, str] | list[str] | list[tuple[str, float]]
Queue = list[tuple[str, float]]


def keys_of(state: State) -> dict[str, Value]:
    """Return all hard state by key without its prefix: hashes, sorted sets by score, sets sorted, lists."""
    found: dict[str, Value] = {"meta": meta(state), "config": config(state), "counters": counters(state)}
    requests = (("\n".join(request), at) for request, at in state.requests.items())
    found |= {"paused": dict(state.paused), "requests": ranked(requests)}
    found |= {"letters": dict(state.letters), "handled": ranked(state.handled.items())}
    found |= {"ended": [f"{ended_ts} {job_id}" for ended_ts, job_id in state.ended]}
    for job_id, job in state.jobs.items():
        found[f"job:{job_id}"] = job_hash(job)
    for session_id, session in state.sessions.items():
        found[f"session:{session_id}"] = session_hash(session)
    for name, source in state.sources.items():
        found[f"source:{name}"] = source_hash(source)
        found[f"kept:{name}"] = [" ".join(map(str, kept)) for kept in source.kept]
        found[f"source_pools:{name}"] = sorted(source.own_pools)
    found |= jobs_of_sources(state)
    found["sources"] = sorted(name for name, source in state.sources.items() if not source.revoked)
    found |= places(state)
    found |= queues(state, sets_of(state), found["open"])
    return {name: value for name, value in found.items() if value}


def meta(state: State) -> dict[str, str]:
    """How far the fold has come, and what the scheduler remembers of itself."""
    return texts(
        watermark=state.watermark,
        folded=state.folded,
        fold_version=state.fold_version,
        resumed_since_ts=state.resumed_since_ts,
        resumed_ts=state.resumed_ts,
        sources=state.sources_event,
        sources_fence=state.sources_fence,
        overload=" ".join(f"{cause}={since}" for cause, since in sorted(state.overload.items())) or None,
    )


def config(state: State) -> dict[str, str]:
    """What operators want to hold, and how many pools and pairs they have paused."""
    return dict(state.configured) | texts(paused=len(state.paused) or None)


def counters(state: State) -> dict[str, str]:
    """What there is of each kind now, and what has happened so far; nothing is said of what never happened."""
    now = {"nodes": len(state.nodes)} if state.had_nodes else {}
    if state.counted["submitted"]:
        now["waiting"] = sum(job.status == "created" for job in state.jobs.values())
    if state.counted["dispatched"]:
        now["held"] = sum(job.status in HELD for job in state.jobs.values())
    return {name: str(count) for name, count in {**+state.counted, **now}.items()}


def texts(**fields: object) -> dict[str, str]:
    """A hash: booleans in lower case, what is unknown left out."""
    return {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in fields.items()
        if value is not None
    }


def job_hash(job: Job) -> dict[str, str]:
    """Everything known of a job."""
    return job.asked | texts(
        status=job.status,
        order=job.order,
        created_ts=job.created_ts,
        timer=job.timer,
        submit_id=job.submit_id,
        source=f"{job.source} {job.payload_bytes}" if job.source else None,
        node_id=job.node_id,
        pool_id=job.pool_id,
        attempt=job.attempt,
        attempts=job.attempts if job.dispatched_ts is not None else None,
        misses=job.misses or None,
        begun="true" if job.begun else None,
        begun_on="\n".join(job.begun_on) or None,
        excluded="\n".join(job.excluded) or None,
        cause=job.cause,
        error=job.error,
        failed_attempt=job.failed_attempt,
        requests="\n".join(job.requests) or None,
        progress_json=job.progress_json,
        result_json=job.result_json,
        result_source=f"{job.result_source} {job.result_bytes}" if job.result_source else None,
        dispatched_ts=job.dispatched_ts,
        started_ts=job.started_ts,
        progressed_ts=job.progressed_ts,
        finished_ts=job.finished_ts,
    )


def session_hash(session: Session) -> dict[str, str]:
    """Where a conversation was last served."""
    return texts(
        preferred_pool=session.preferred_pool,
        last_lang_pair=session.last_lang_pair,
        node_id=session.node_id,
        last_job=session.last_job,
    )


def source_hash(source: Source) -> dict[str, str]:
    """The rights of a source, and how many of its entries were accepted and dropped."""
    return texts(
        role=source.role,
        node_id=source.node_id,
        revoked=source.revoked,
        rate=source.rate,
        size=source.size,
        backlog=source.backlog,
        priority=source.priority,
        jobs=source.jobs,
        bytes=source.bytes,
        max_age_ms=source.max_age_ms,
        pools=source.pools,
        own_pairs=source.own_pairs,
        kept_bytes=source.kept_bytes,
        result_bytes=source.result_bytes,
        living=source.living,
        living_bytes=source.living_bytes,
        reason=source.reason,
        since_ts=source.since_ts,
        last_id=source.last_id,
        dropped=source.dropped if source.limited else None,
        limited=source.limited or None,
        limited_ts=source.limited_ts,
        limited_cause=source.limited_cause,
    )


def jobs_of_sources(state: State) -> dict[str, Value]:
    """The jobs of each source that have not ended."""
    found: dict[str, list[str]] = {}
    for job_id in sorted(state.jobs):
        job = state.jobs[job_id]
        if job.source and job.finished_ts is None:
            found.setdefault(f"source_jobs:{job.source}", []).append(job_id)
    return dict(found)


def node_hash(node: Node) -> dict[str, str]:
    """Everything known of a node but its beats."""
    return texts(
        online=node.online,
        accepting=node.accepting,
        cordoned=node.cordoned,
        cordon_reason=node.cordon_reason,
        cap_json=node.cap_json,
        pool_names_json=node.pool_names_json,
        mailbox=node.mailbox,
        pools=" ".join(node.pools),
        incarnation=node.incarnation,
        since_ts=node.since_ts,
        window=node.window,
        full_at=node.full_at,
        room=node.room,
        room_ts=node.room_ts,
        speed=node.speed,
        samples=node.samples or None,
        learned_ts=node.learned_ts,
        pending=len(node.unread),
        open=node.is_open,
    )


def places(state: State) -> dict[str, Value]:
    """The nodes, the pools, and which of them serve a pair, now or in principle."""
    found: dict[str, Value] = {
        "nodes": sorted(state.nodes),
        "online": sorted(node_id for node_id, node in state.nodes.items() if node.online),
        "lost": sorted(node_id for node_id, node in state.nodes.items() if node.held and not node.online),
        "pools": sorted(state.pools),
    }
    inboxes = Counter(node.mailbox or node_id for node_id, node in state.nodes.items())
    found["mailboxes"] = {mailbox: str(count) for mailbox, count in inboxes.items()}
    found["run_means"] = {":".join(pair): str(mean) for pair, mean in state.run_means.items()}
    found["gone"] = ranked(gone(state))
    members: dict[str, list[str]] = {}
    for node_id in sorted(state.nodes):
        node = state.nodes[node_id]
        found[f"node:info:{node_id}"] = node_hash(node)
        found[f"node:jobs:{node_id}"] = sorted(node.held)
        for pool_id in node.pools:
            members.setdefault(pool_id, []).append(node_id)
    open_pools: dict[str, list[str]] = {}
    for pool_id in sorted(state.pools):
        pool = state.pools[pool_id]
        belong = members.get(pool_id, [])
        ready = [node_id for node_id in belong if state.nodes[node_id].is_open]
        found[f"pool:{pool_id}:members"] = belong
        found[f"pool:{pool_id}:online"] = ready
        found[f"pool:{pool_id}:ranked"] = ranked((node_id, state.nodes[node_id].rank) for node_id in ready)
        paused = f"pool {pool_id}" in state.paused
        is_open = bool(ready) and not paused
        found[f"pool:{pool_id}:info"] = texts(
            name=pool.name,
            languages=" ".join(pool.languages),
            set=pool.language_set,
            source=pool.source,
            open=is_open,
            paused=paused or None,
        )
        if is_open:
            open_pools.setdefault(pool.language_set, []).append(pool_id)
    serving: dict[str, Queue] = {}
    of_pair: dict[str, list[str]] = {}
    for languages, pools in sets_of(state).items():
        found[f"set:{languages}:pools"] = pools
        found[f"set:{languages}:open"] = open_pools.get(languages, [])
        for src, tgt in permutations(languages.split(), 2):
            serving.setdefault(f"serving:{src}:{tgt}", []).append((languages, 0.0))
            of_pair.setdefault(f"lang:{src}:{tgt}", []).extend(pools)
    return found | {name: sorted(pools) for name, pools in of_pair.items()} | serving | {"open": sorted(open_pools)}


def sets_of(state: State) -> dict[str, list[str]]:
    """The pools by what they serve, both in order."""
    found: dict[str, list[str]] = {}
    for pool_id in sorted(state.pools, key=lambda pool_id: (state.pools[pool_id].language_set, pool_id)):
        found.setdefault(state.pools[pool_id].language_set, []).append(pool_id)
    return found


def gone(state: State) -> Iterable[tuple[str, float]]:
    """Yield what is to be retired, with the time since when it is gone."""
    for node_id, node in state.nodes.items():
        if not node.online:
            yield f"node {node_id}", node.since_ts
    for pool_id, pool in state.pools.items():
        if f"pool {pool_id}" not in state.paused and not state.members(pool_id):
            yield f"pool {pool_id}", pool.empty_ts
    for name, source in state.sources.items():
        if source.revoked:
            yield f"source {name}", source.since_ts
        if source.cancelling:
            yield f"jobs {name}", 0


def queues(state: State, sets: Iterable[str], open_sets: Value) -> dict[str, Value]:
    """Who waits for what: a node, a moment, a deadline."""
    waiting: dict[str, dict[str, float]] = {}
    timers: dict[str, float] = {}
    deadlines: dict[str, float] = {}
    for job_id, job in state.jobs.items():
        if job.timer:
            timers[job_id] = job.due_ts
        elif job.status == "created":
            waiting.setdefault(":".join(job.pair), {})[job_id] = job.order
        if job.finished_ts is None and job.deadline_ts is not None:
            deadlines[job_id] = job.deadline_ts
    heads = {pair: min(queue.values()) for pair, queue in waiting.items() if f"pair {pair}" not in state.paused}
    found: dict[str, Value] = {f"waiting:{pair}": ranked(queue.items()) for pair, queue in waiting.items()}
    best: dict[str, float] = {}
    for languages in sets:
        pairs = [f"{src}:{tgt}" for src, tgt in permutations(languages.split(), 2)]
        served = {pair: heads[pair] for pair in pairs if pair in heads}
        found[f"set:{languages}:waiting"] = ranked(served.items())
        if served and languages in open_sets:
            best[languages] = min(served.values())
    return found | {
        "timers": ranked(timers.items()),
        "deadlines": ranked(deadlines.items()),
        "ready": ranked(best.items()),
    }


def ranked(members: Iterable[tuple[str, float]]) -> Queue:
    """A sorted set: by score, then by member."""
    return sorted(((member, float(score)) for member, score in members), key=lambda pair: (pair[1], pair[0]))


def kind_of(name: str, value: Any) -> str:
    """Return the server's type of a key."""
    if isinstance(value, dict):
        return "hash"
    return "list" if name == "ended" or name.startswith("kept:") else "zset" if isinstance(value[0], tuple) else "set"
