"""Events that an operator appends about nodes, pools and pairs, with the answer to each."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import typer

from ...console.remedies import with_remedy
from ...console.terminal import OK, REFUSED, as_json, complain, say
from ...contract.errors import SchedulerError
from ...engine.partition import Partition
from ..options import Target

Reason = Annotated[str | None, typer.Option(help="Kept in the log.")]


def flat(kind: str, fields: dict[str, str], reason: str | None) -> list[str]:
    """Return an event in the log's flat form."""
    named = fields | ({"reason": reason} if reason else {})
    return ["type", kind, *(part for pair in named.items() for part in pair)]


async def append_each(
    target: Target, events: Iterable[tuple[str, dict[str, str]]], reason: str | None, json: bool
) -> int:
    """Append events about one subject each; report whether each was accepted."""
    code = OK
    async with target.speak(None) as partition:
        for kind, fields in events:
            if not await append_one(partition, kind, fields, reason, json):
                code = REFUSED
    return code


async def append_one(partition: Partition, kind: str, fields: dict[str, str], reason: str | None, json: bool) -> bool:
    name = ":".join(fields.values())
    try:
        answer = await partition.append_soon(flat(kind, fields, reason))
    except SchedulerError as problem:
        complain(f"{name}: {with_remedy(problem.code, problem.detail)}")
        return False
    did = kind.partition(".")[2]
    if json:
        as_json({**fields, "event": kind, "id": answer.event_id})
    else:
        say(f"{name} {did}")
    return True
