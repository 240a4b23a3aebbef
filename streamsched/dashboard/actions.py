"""Actions of an operator on the page: each one appends an event to the log."""

from __future__ import annotations

from typing import Any

import msgspec

from ..contract.errors import InvalidField
from ..contract.wire import EVENTS, from_wire, to_wire
from ..deadletters.queue import DeadLetterQueue, retry
from ..engine.partition import Partition
from ..engine.replies import Answer

ACTIONS = {
    "cordon": ("node.cordoned", ("node_id",)),
    "uncordon": ("node.uncordoned", ("node_id",)),
    "drain": ("node.drained", ("node_id",)),
    "cancel": ("job.cancelled", ("job_id",)),
    "pause_pool": ("pool.paused", ("pool_id",)),
    "resume_pool": ("pool.resumed", ("pool_id",)),
    "pause_pair": ("pair.paused", ("src_lang", "tgt_lang")),
    "resume_pair": ("pair.resumed", ("src_lang", "tgt_lang")),
    "drop": ("letter.dropped", ("letter",)),
    "configure": ("scheduler.configured", ()),
}
"""Action -> its event, and the fields of its subject: parts of the id, between colons."""

RETRY = "retry"
"""Appends the event of a dead letter again."""

MARK = ("by", "dashboard")
"""An extra field of the event: the log keeps the origin of an action."""


class Action(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A request of the page."""

    action: str
    id: str = ""
    """Id of the node, the job, the pool or the dead letter; for a pair ``src:tgt``."""
    reason: str = ""
    changes: dict[str, str] = {}
    """For ``configure``: the fields that change."""


def action_of(body: bytes) -> Action:
    """Read a request.

    Raises:
        InvalidField: the request is malformed; the text names the field.
    """
    try:
        return msgspec.json.decode(body, type=Action)
    except msgspec.MsgspecError as problem:
        raise InvalidField(f"the request is not an action ({problem}): give action, id, reason or changes") from None


def event_of(action: Action) -> list[str]:
    """Return the event of an action, flat.

    Raises:
        InvalidField: the action or a field is unknown, missing, or of the wrong type; the text names it.
    """
    if action.action not in ACTIONS:
        raise InvalidField(f"action {action.action!r}: give one of {', '.join((*ACTIONS, RETRY))}")
    kind, subject = ACTIONS[action.action]
    fields: dict[str, str] = {"type": kind}
    if subject:
        parts = action.id.split(":", len(subject) - 1)
        if not all(parts) or len(parts) < len(subject):
            raise InvalidField(f"id is missing: name the {':'.join(part.removesuffix('_id') for part in subject)}")
        fields |= zip(subject, parts, strict=True)
    elif not action.changes:
        raise InvalidField("changes is empty: name what shall change")
    known = {field.name for field in msgspec.structs.fields(EVENTS[kind])}
    for name, value in action.changes.items():
        if name not in known or subject:
            raise InvalidField(f"changes: {action.action} takes no {name!r}; it takes {', '.join(sorted(known))}")
        fields[name] = value
    if action.reason:
        fields["reason"] = action.reason
    return [*to_wire(from_wire(fields)), *(("reason", action.reason) if action.reason and not subject else ()), *MARK]


async def carry_out(partition: Partition, raw: Any, action: Action) -> dict[str, Any]:
    """Append the event of an action, and return its id in the log.

    Args:
        partition: where.
        raw: a client of the same server that leaves bytes alone.
        action: what.

    Raises:
        SchedulerError: the event was refused; the text says why.
        ServerUnreachable: no server answered in time; the event may have arrived.
    """
    answer: Answer
    if action.action == RETRY:
        answer = await retry(partition, await DeadLetterQueue(raw, partition.keys).get(action.id))
    else:
        answer = await partition.append_soon(event_of(action))
    return {"id": answer.event_id}
