"""``streamsched configure``: show the configuration in force, or change it."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
import typer

from ...console.terminal import OK, REFUSED, UsageProblem, agreed, as_json, say
from ...contract.config import DEFAULTS
from ...contract.events import SchedulerConfigured
from ...contract.wire import from_wire
from .. import completion
from ..options import Json, Target, command
from .operator_events import Reason, flat


@command("streamsched configure heartbeat_timeout_ms=15000 --reason 'slow links' --yes")
async def configure(
    target: Target,
    changes: Annotated[
        list[str] | None, typer.Argument(metavar="KEY=VALUE...", autocompletion=completion.configuration)
    ] = None,
    reason: Reason = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    json: Json = False,
) -> int:
    """Show or change the configuration. With changes: show the differences, ask, and append them to the log."""

    wanted = _changes(changes or [])
    from_wire({"type": "scheduler.configured", **wanted})  # an invalid change is refused before the question
    async with target.speak(None) as partition:
        redis: Any = partition.redis
        stored = await partition.patiently(lambda: redis.hgetall(partition.keys("config")))
        in_force = {key: stored.get(key, str(default)) for key, default in DEFAULTS.items()}
        if not wanted:
            _show(in_force, json)
            return OK
        differing = {key: value for key, value in wanted.items() if in_force[key] != value}
        changes_text = "\n".join(f"{key}: {in_force[key]} → {value}" for key, value in differing.items())
        if not differing:
            say("no change: these values are in force")
            return OK
        if not json and yes:
            say(changes_text)
        if not await agreed(changes_text, "Change it?", yes):
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
            raise UsageProblem(f"{change!r} is not key=value: write, for example, max_attempts=5")
        if key == "fold_version":
            raise UsageProblem("fold_version: `streamsched upgrade` raises it when no member is too old")
        if key not in known:
            offered = ", ".join(f"{name} ({DEFAULTS[name]})" for name in known)
            raise UsageProblem(f"{key!r} is not a configuration key: give one of {offered}")
        found[key] = value
    return found


def _show(in_force: dict[str, str], json: bool) -> None:
    if json:
        as_json(in_force)
        return
    for key, value in in_force.items():
        say(f"{key}={value}" + ("" if value == str(DEFAULTS[key]) else f"  (default {DEFAULTS[key]})"))
