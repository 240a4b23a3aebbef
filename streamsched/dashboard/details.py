"""Details of one job, node or session at a moment: state, explanation, and story so far."""

from __future__ import annotations

from collections import deque
from typing import Any

import msgspec

from ..history.explain import explain
from ..history.rows import SPOKEN, UNSHOWN, short
from ..history.story import Step, trace
from ..state.jobs import read_job
from ..state.nodes import read_node
from .log_index.filtered_history import FilteredHistory

STEPS = 200
"""Steps of a story that are shown, the last ones."""

JOBS = 50
"""Jobs of a node that are listed."""


async def about(redis: Any, history: FilteredHistory, kind: str, name: str, operator: bool) -> dict[str, Any] | None:
    """Return the details of a job, a node or a session; ``None`` if it is unknown.

    Args:
        redis: a client of a server that holds the state of the moment.
        history: the history of that state.
        kind: ``job``, ``node`` or ``session``.
        name: its id.
        operator: whether payload and result may be shown.
    """
    if not operator:
        history = FilteredHistory(history, history.index, history.until, history.names, spoken=False)
    steps: deque[Step] = deque(maxlen=STEPS)
    count = 0
    async for step in trace(history, kind, name):
        steps.append(step)
        count += 1
    details: dict[str, Any]
    details = {
        "kind": kind,
        "id": name,
        "steps": [_shown(step) for step in steps],
        "steps_total": count,
    }
    details |= await {"job": _job, "node": _node, "session": _session}[kind](redis, history, name)
    if not operator:
        error = details.get("state", {}).get("error")
        for field in SPOKEN:
            if details.get("state", {}).pop(field, None):
                details["withheld"] = True
        if error and details.get("why"):
            details["why"] = _withheld(details["why"], error)
    return details if count or details.get("state") else None


def _withheld(value: Any, text: str) -> Any:
    """Return a value without a text, wherever the value holds that text."""
    if isinstance(value, dict):
        return {name: _withheld(inner, text) for name, inner in value.items()}
    if isinstance(value, list):
        return [_withheld(inner, text) for inner in value]
    return value.replace(text, "(withheld)") if isinstance(value, str) else value


def _shown(step: Step) -> dict[str, Any]:
    fields = {short(name): short(text) for name, text in step.fields.items() if name not in UNSHOWN}
    return {
        "id": step.id,
        "ts": step.ts,
        "after_ms": step.after_ms,
        "type": short(step.type),
        "words": short(step.words),
        "refused": short(step.refused),
        "fields": fields,
    }


async def _job(redis: Any, history: FilteredHistory, name: str) -> dict[str, Any]:
    job, explanation = await read_job(redis, history.keys, name), await explain(redis, history, name)
    return {
        "state": msgspec.to_builtins(job) if job else {},
        "why": msgspec.to_builtins(explanation) if explanation else None,
    }


async def _node(redis: Any, history: FilteredHistory, name: str) -> dict[str, Any]:
    node = await read_node(redis, history.keys, name)
    if node is None:
        return {"state": {}}
    jobs: list[str] = []
    async for job_id in redis.sscan_iter(history.keys("node_jobs", name), count=JOBS):
        jobs.append(job_id)
        if len(jobs) == JOBS:
            break
    return {"state": msgspec.to_builtins(node), "jobs": sorted(jobs)}


async def _session(redis: Any, history: FilteredHistory, name: str) -> dict[str, Any]:
    return {"state": await redis.hgetall(history.keys("session", name))}
