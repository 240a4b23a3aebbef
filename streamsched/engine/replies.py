"""What goes to the scripts and comes back from them."""

from __future__ import annotations

import asyncio
from typing import Any, NamedTuple, TypeGuard

import msgspec
from redis.exceptions import ResponseError

from ..contract.entries import position
from ..contract.errors import InvalidField, PartitionHalted, error_of

BROKE = "this call broke"
"""How a script says that the call itself halted the partition, and did not find it halted."""


class Reply(NamedTuple):
    """What ``advance`` answers."""

    more: bool
    """The bound was reached before the work was done: call again."""
    next_due_ts: int | None
    """When something falls due next, ms since the epoch."""
    now_ts: int
    """The scheduler's clock, ms since the epoch."""
    folded: int
    """Events of the log folded so far."""
    sources: str
    """The event that last changed which sources may append to an ingress; empty if none may."""
    held: dict[str, int]
    """Sources with more events to read, and the ms to wait before the next read."""


class Answer(NamedTuple):
    """The scheduler's reply to one appended event."""

    event_id: str
    job: tuple[str, str, str, str, str, str] | None
    """For a submission: job id, status, node, pool, attempt, error. A part without a value is empty."""


def encoded(fields: list[str]) -> bytes:
    """Encode an event's flat fields for a script.

    Raises:
        InvalidField: a text is not UTF-8.
    """
    try:
        return msgspec.json.encode(fields)
    except UnicodeEncodeError as problem:
        raise InvalidField(f"{fields[1]}: a field is not UTF-8 ({problem}): encode it as UTF-8") from problem


def reply_of(parts: list[Any]) -> Reply:
    more, due, now, folded, sources, held, *_ = parts
    waits = {name: int(ms) for name, ms in zip(held[::2], held[1::2], strict=True)}
    return Reply(bool(more), int(due) if due else None, int(now), int(folded), sources, waits)


def hand_over(future: asyncio.Future[Answer], answer: Any) -> None:
    """Give the scheduler's answer to the caller that waits for it."""
    if future.done():
        return  # its caller has been cancelled
    if answer[0]:
        future.set_exception(error_of(answer[0], answer[1]))
    else:
        future.set_result(Answer(answer[1], tuple(answer[2:]) if len(answer) > 2 else None))


def halted_by_this_call(problem: Exception) -> TypeGuard[PartitionHalted]:
    """Tell whether the call that was answered so halted the partition itself."""
    return isinstance(problem, PartitionHalted) and problem.detail.startswith(BROKE)


def was_trimmed(about: Any, event_id: str) -> bool:
    """Tell from ``XINFO STREAM`` whether an event that the log does not hold was trimmed: only what is archived is."""
    if isinstance(about, ResponseError) or about["entries-added"] == about["length"]:
        return False
    first = about["first-entry"]
    head = position(first[0]) if first else position(about["last-generated-id"])
    return position(event_id) < head or (not first and position(event_id) == head)
