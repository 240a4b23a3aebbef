"""What the server holds and what the model holds, in one form."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

from streamsched.contract.soft_state import SOFT_KEYS, soft_fields

from ...model.indexes import keys_of
from ...model.state import State
from ..redis_double.values import Hash, Set, SortedSet, Stream, Value


def state_of(data: Mapping[str, Value], prefix: str) -> dict[str, Any]:
    """All hard state below a prefix, in the form of the model."""
    found: dict[str, Any] = {}
    skip = len(prefix)
    beside = (prefix + "dead:", prefix + "in:")  # counts that go with the letters, and what is not taken in yet
    for key, value in data.items():
        if not key.startswith(prefix) or key.startswith(beside):
            continue
        name = key[skip:]
        kind = type(value)
        if kind is Hash:
            soft = soft_fields(name)
            text: Any = {f: v for f, v in value.items() if f not in soft} if soft else value  # type: ignore[union-attr]
            if text:
                found[name] = text
        elif kind is SortedSet:
            if name not in SOFT_KEYS:
                found[name] = [(member, score) for score, member in value.order]  # type: ignore[union-attr]
        elif kind is list:
            found[name] = value
        elif kind is not Stream:
            found[name] = sorted(value) if kind is Set else value  # type: ignore[arg-type]
    return found


def by_the_model(partition: State, known: Mapping[str, dict[str, str]]) -> dict[str, Any]:
    """All state by the model; a job that had ended before is what it was then, and costs no second look.

    Args:
        partition: the model's state.
        known: the jobs that had ended, as they were then.
    """
    jobs, ended = partition.jobs, partition.ended
    over = {job_id: was for job_id, was in known.items() if job_id in jobs}
    over = {job_id: was for job_id, was in over.items() if jobs[job_id].submit_id == was["submit_id"]}
    partition.jobs = {job_id: job for job_id, job in jobs.items() if job_id not in over}
    partition.ended = deque()
    try:
        expected: dict[str, Any] = keys_of(partition)
    finally:
        partition.jobs, partition.ended = jobs, ended
    expected |= {f"job:{job_id}": was for job_id, was in over.items()}
    if ended:
        expected["ended"] = [f"{ended_ts} {job_id}" for ended_ts, job_id in ended]
    return expected
