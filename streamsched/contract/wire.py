"""Events as flat stream fields, and back."""

from __future__ import annotations

import secrets
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import msgspec

from .config import RETRY
from .errors import InvalidField, UnknownEventType
from .events import (
    Event,
    JobCancelled,
    JobCompleted,
    JobDeclined,
    JobProgressed,
    JobStarted,
    JobSubmitted,
    LetterDropped,
    NodeCordoned,
    NodeDrained,
    NodeHeartbeat,
    NodeOffline,
    NodeRegistered,
    NodeRetired,
    NodeUncordoned,
    PairPaused,
    PairResumed,
    PoolPaused,
    PoolResumed,
    SchedulerConfigured,
    SessionReleased,
    SourceAdmitted,
    SourceRevoked,
)

AnyEvent = Union[  # noqa: UP007 - read by get_args, and a column of names reads better than a row of bars
    NodeRegistered,
    NodeHeartbeat,
    NodeOffline,
    NodeCordoned,
    NodeUncordoned,
    NodeDrained,
    NodeRetired,
    JobSubmitted,
    JobStarted,
    JobProgressed,
    JobDeclined,
    JobCompleted,
    JobCancelled,
    SessionReleased,
    SourceAdmitted,
    SourceRevoked,
    PoolPaused,
    PoolResumed,
    PairPaused,
    PairResumed,
    SchedulerConfigured,
    LetterDropped,
]
"""The tagged union of what producers, nodes and operators may append."""


def event_type(event: type[Event] | Event) -> str:
    """Return the wire name of an event, for example ``job.submitted``."""
    return str(event.__struct_config__.tag)


EVENTS: dict[str, type[Event]] = {event_type(kind): kind for kind in get_args(AnyEvent)}


def field_kinds(kind: type[Event]) -> dict[str, str]:
    """Return ``{field: kind}`` of an event, with ``?`` behind an optional field: what its Lua header must say."""
    hints = get_type_hints(kind, include_extras=True)
    kinds: dict[str, str] = {}
    for field in msgspec.structs.fields(kind):
        annotation: Any = hints[field.name]
        options = [annotation] if get_origin(annotation) is Annotated else list(get_args(annotation)) or [annotation]
        named = next(option for option in options if option is not type(None))
        name = get_args(named)[1] if get_origin(named) is Annotated else named.__name__.lower()
        words = {"jobstatus": "status", "sourcerole": "role"}
        kinds[field.name + ("" if field.required else "?")] = words.get(name, name)
    return kinds


NAMED_BY = {"job.submitted": "job_id", "job.completed": "attempt"}
"""Events whose repeat is known by another field, if they have it."""


def repeatable(flat: list[str]) -> list[str]:
    """Add a ``request_id`` to an event whose repeat is not recognised otherwise, so that it may be sent again.

    Args:
        flat: ``[type, …, field, value, …]``.
    """
    kind = EVENTS.get(flat[1])
    if kind is None or "request_id" not in kind.__struct_fields__:
        return flat
    names = flat[::2]
    if "request_id" in names or RETRY in names or NAMED_BY.get(flat[1]) in names:
        return flat
    if kind is NodeHeartbeat and dict(zip(names, flat[1::2], strict=True)).get("online") == "true":
        return flat  # a repeated heartbeat is just another heartbeat
    return [*flat, "request_id", secrets.token_hex(8)]


def wire_value(field: str, value: object) -> str:
    """Return a field in its stream form: booleans as ``true``/``false``, the rest as text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int):
        return str(value)
    raise InvalidField(f"{field} is {type(value).__name__}: give text, a whole number or true/false")


def to_wire(event: Event) -> list[str]:
    """Flatten an event to ``[type, …, field, value, …]`` as ``XADD`` takes it.

    Raises:
        InvalidField: a value has a type that cannot be encoded.
    """
    flat = ["type", event_type(event)]
    for field in event.__struct_fields__:
        value = getattr(event, field)
        if value is not None:
            flat += (field, value if type(value) is str else wire_value(field, value))
    return flat


def from_wire(fields: dict[str, str]) -> AnyEvent:
    """Read an event from its flat fields; text becomes numbers and booleans as the contract defines.

    Raises:
        UnknownEventType: ``type`` is missing or is not an event of the contract.
        InvalidField: a field is missing or not of its type; the text names it.
    """
    kind = fields.get("type", "")
    if kind not in EVENTS:
        raise UnknownEventType(f"type {kind!r}: give one of {', '.join(sorted(EVENTS))}")
    try:
        return msgspec.convert(fields, AnyEvent, strict=False)  # type: ignore[no-any-return]
    except msgspec.ValidationError as problem:
        raise InvalidField(f"{kind}: {problem}") from problem
