"""``streamsched verify``: the proof that a running partition holds what its log says, with a bar meanwhile."""

from __future__ import annotations

from pathlib import Path

import anyio
import msgspec

from ...console.terminal import OK, REFUSED, as_json, bar, say
from ...ops.settings import without_secret
from ...replay.diff import apart
from ...replay.scratch import open_scratch
from ...replay.verify import Difference, Item, Verifier
from ..options import Target


class VerifyOptions(msgspec.Struct, kw_only=True, frozen=True):
    """What ``streamsched verify`` was asked for."""

    archive: Path | None
    scratch: str | None
    watch: bool
    interval_s: float
    keys_s: float
    json: bool


async def verify_state(target: Target, options: VerifyOptions) -> int:
    """Compare once, or until Ctrl-C or the first difference; returns the exit code.

    Raises:
        LogGap: the log was trimmed, and no archive was given that holds the rest.
        ScratchIsLive: the scratch server is not one.
        PartitionRebuilding: the state is being rebuilt.
    """
    if options.scratch is not None:
        without_secret("--scratch", options.scratch)
    async with (
        target.open() as partition,
        target.history(options.archive, offline=False) as history,
        open_scratch(history.keys, options.scratch, live=partition.redis) as scratch,
    ):
        span = await history.whole()
        verifier = Verifier(partition.redis, history, scratch, options.keys_s)
        with bar("folding") as (progress, set_total):
            set_total(span.count)
            await scratch.follow(history, progress=progress)
        while True:
            with bar("comparing") as (progress, _):
                found = await verifier.check(progress)
            if found is not None:
                return await _report(verifier, *found, options.json)
            _say_equal(verifier, options.json)
            if not options.watch:
                return OK
            await anyio.sleep(options.interval_s)


def _say_equal(verifier: Verifier, json: bool) -> None:
    scratch = verifier.scratch
    if json:
        as_json({"equal": True, "watermark": scratch.watermark, "folded": scratch.folded, "keys": verifier.compared})
    else:
        say(f"state == fold(log): {scratch.folded} events up to {scratch.watermark}, {verifier.compared} keys compared")


async def _report(verifier: Verifier, found: Difference, item: Item, json: bool) -> int:
    with bar("looking for the event") as (progress, _):
        found = await verifier.part(found, item, progress)
    if json:
        as_json({"equal": False, **msgspec.to_builtins(found)})
        return REFUSED
    say(f"{found.key} differs at {found.watermark}:")
    say(f"  live:   {apart(found.live, found.folded)}")
    say(f"  folded: {apart(found.folded, found.live)}")
    story = " ".join(f"{field}={text}" for field, text in found.event.items())
    if found.never_agreed:
        say(f"  no event gave the live value; the last one to write the key: {found.event_id} {story}")
    else:
        say(f"  they part after {found.event_id} {story}")
    return REFUSED
