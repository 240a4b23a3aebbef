"""``streamsched upgrade``: fold the log by the version of this program from here on."""

from __future__ import annotations

from typing import Annotated

import typer

from ...console.terminal import OK, REFUSED, agreed, as_json, complain, say
from ...contract.config import FOLD_VERSION
from ...state.partition import read_partition
from ..options import Json, Target, command
from .operator_events import Reason, flat


@command("streamsched upgrade --yes")
async def upgrade(
    target: Target,
    force: Annotated[bool, typer.Option("--force", help="Although members are too old: they stop.")] = False,
    reason: Reason = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    json: Json = False,
) -> int:
    """Fold the log by the newest version that this program knows, from here on. Programs too old for it stop with
    `NEWER_LOG`; while some make calls, the upgrade is refused, and they are named. Exit code 1 if it was refused."""

    async with target.speak(None) as partition:
        seen = await partition.patiently(lambda: read_partition(partition.redis, partition.keys))
        if seen.fold_version >= FOLD_VERSION:
            if json:
                as_json({"fold_version": seen.fold_version, "changed": False})
            else:
                say(f"no change: the log is folded by version {seen.fold_version}")
            return OK
        if seen.members_too_old and not force:
            for name in seen.members_too_old:
                complain(f"{name} is too old for version {FOLD_VERSION}")
            complain("restart them with the new program, or give --force: they stop then")
            return REFUSED
        change = f"fold_version: {seen.fold_version} → {FOLD_VERSION}"
        if not await agreed(change, "Upgrade? There is no way back but from the archive.", yes):
            return REFUSED
        answer = await partition.append_soon(flat("scheduler.configured", {"fold_version": str(FOLD_VERSION)}, reason))
        await partition.patiently(partition.advance)  # a call behind it makes it true: no new worker may run yet
    if json:
        as_json({"id": answer.event_id, "fold_version": FOLD_VERSION, "changed": True})
    else:
        say(change)
    return OK
