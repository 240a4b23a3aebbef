"""``streamsched cordon``, ``drain``, ``pause``, ``configure`` and the like: each is an event in the log."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import anyio
import msgspec

from ...console.remedies import with_remedy
from ...console.terminal import OK, REFUSED, UsageProblem, agreed, as_json, complain, say
from ...contract.config import DEFAULTS
from ...contract.errors import SchedulerError
from ...contract.events import SchedulerConfigured
from ...contract.wire import from_wire
from ...engine.partition import Partition
from ..durations import seconds_of
from ..options import Target

NAMED = 20
"""Jobs that are named of a node that still holds some past the deadline."""

LOOK_S = 0.25
"""Between two looks at what a node that is drained still holds."""


def flat(kind: str, fields: dict[str, str], reason: str | None) -> list[str]:
    """Return an event as the log takes it."""
    named = fields | ({"reason": reason} if reason else {})
    return ["type", kind, *(part for pair in named.items() for part in pair)]


async def append_each(
    target: Target, events: Iterable[tuple[str, dict[str, str]]], reason: str | None, json: bool
) -> int:
    """Append events about one subject each; tell of each whether it was taken."""
    code = OK
    async with target.speak(None) as partition:
        for kind, fields in events:
            if not await _append(partition, kind, fields, reason, json):
                code = REFUSED
    return code


async def _append(partition: Partition, kind: str, fields: dict[str, str], reason: str | None, json: bool) -> bool:
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


async def drain_nodes(
    target: Target, nodes: list[str], at_once: int, deadline: str | None, reason: str | None, json: bool
) -> int:
    """Empty nodes, ``at_once`` of them at a time, within the deadline.

    Raises:
        UsageProblem: the deadline is no age.
    """
    within_s = None if deadline is None else seconds_of(deadline)
    if deadline is not None and within_s is None:
        raise UsageProblem(f"--deadline {deadline!r}: give an age such as 90s, 10m or 2h")
    begun: set[str] = set()
    refused: set[str] = set()
    empty: set[str] = set()
    async with target.speak(None) as partition:
        turns = anyio.Semaphore(at_once)

        async def one(node_id: str) -> None:
            async with turns:
                if not await _append(partition, "node.drained", {"node_id": node_id}, reason, json):
                    refused.add(node_id)
                    return
                begun.add(node_id)
                last = -1
                while (held := await _held(partition, node_id)) > 0:
                    if held != last and not json:
                        say(f"{node_id} holds {held}")
                    last = held
                    await anyio.sleep(LOOK_S)
                empty.add(node_id)
                say_empty(node_id, json)

        with anyio.move_on_after(within_s):
            async with anyio.create_task_group() as group:
                for node_id in nodes:
                    group.start_soon(one, node_id)
        for node_id in nodes:
            if node_id not in empty | refused:
                await say_held(partition, node_id, node_id in begun, json)
    return OK if len(empty) == len(set(nodes)) else REFUSED


def say_empty(node_id: str, json: bool) -> None:
    """Tell that a node holds nothing any more."""
    if json:
        as_json({"node_id": node_id, "held": 0})
    else:
        say(f"{node_id} holds nothing")


async def say_held(partition: Partition, node_id: str, begun: bool, json: bool) -> None:
    """Tell what a node still holds past the deadline: how many jobs, and some of them by name."""
    redis: Any = partition.redis
    key, held = partition.keys("node_jobs", node_id), await _held(partition, node_id)
    _, page = await partition.patiently(lambda: redis.sscan(key, count=NAMED))
    job_ids = sorted(page)[:NAMED]
    if json:
        as_json({"node_id": node_id, "held": held, "job_ids": job_ids, "drained": begun})
    named = "".join(f" {job_id}" for job_id in job_ids) + (" …" if held > len(job_ids) else "")
    told = "it gets no more jobs" if begun else "its turn did not come: it still gets jobs"
    what = "drain again with a later --deadline, or `streamsched cancel JOB`"
    complain(f"{node_id} still holds {held}:{named or ' nothing'}; {told}: {what}")


async def _held(partition: Partition, node_id: str) -> int:
    redis: Any = partition.redis
    return int(await partition.patiently(lambda: redis.scard(partition.keys("node_jobs", node_id))))


async def change_configuration(target: Target, changes: list[str], reason: str | None, yes: bool, json: bool) -> int:
    """Show the configuration, or what changes of it, and append the change once it is agreed to.

    Raises:
        UsageProblem: a change is no ``key=value``, or names no key.
        InvalidField: a value is not of its kind.
    """
    wanted = _changes(changes)
    from_wire({"type": "scheduler.configured", **wanted})  # refused here, before anybody is asked
    async with target.speak(None) as partition:
        redis: Any = partition.redis
        stored = await partition.patiently(lambda: redis.hgetall(partition.keys("config")))
        in_force = {key: stored.get(key, str(default)) for key, default in DEFAULTS.items()}
        if not wanted:
            _show(in_force, json)
            return OK
        differing = {key: value for key, value in wanted.items() if in_force[key] != value}
        told = "\n".join(f"{key}: {in_force[key]} → {value}" for key, value in differing.items())
        if not differing:
            say("nothing changes: all of it is in force")
            return OK
        if not json and yes:
            say(told)
        if not await agreed(told, "Change it?", yes):
            return REFUSED
        answer = await partition.append_soon(flat("scheduler.configured", differing, reason))
    if json:
        as_json({"id": answer.event_id, "changed": {key: [in_force[key], value] for key, value in differing.items()}})
    return OK


def _changes(changes: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    known = [field.name for field in msgspec.structs.fields(SchedulerConfigured) if field.name in DEFAULTS]
    for change in changes:
        key, equals, value = change.partition("=")
        if not equals:
            raise UsageProblem(f"{change!r} is no key=value: write, for example, max_attempts=5")
        if key not in known:
            offered = ", ".join(f"{name} ({DEFAULTS[name]})" for name in known)
            raise UsageProblem(f"{key!r} is no key of the configuration: give one of {offered}")
        found[key] = value
    return found


def _show(in_force: dict[str, str], json: bool) -> None:
    if json:
        as_json(in_force)
        return
    for key, value in in_force.items():
        say(f"{key}={value}" + ("" if value == str(DEFAULTS[key]) else f"  (default {DEFAULTS[key]})"))
