"""``streamsched verify``: compare a running partition with its log, with a progress bar."""

from __future__ import annotations

from typing import Annotated

import anyio
import msgspec
import typer

from ...console.terminal import OK, REFUSED, as_json, bar, say
from ...ops.settings import without_secret
from ...replay.diff import shown_difference
from ...replay.scratch import open_scratch
from ...replay.verify import Difference, Item, Verifier
from ..options import ArchiveDir, Json, Target, command


@command("streamsched verify")
async def verify(
    target: Target,
    archive: ArchiveDir = None,
    scratch: Annotated[
        str | None, typer.Option(metavar="URL", help="An empty server to fold on. [default: started for this]")
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Repeat until Ctrl-C or a difference.")] = False,
    interval: Annotated[float, typer.Option(min=0, help="Seconds between two rounds.")] = 10.0,
    rate: Annotated[float, typer.Option(min=1, help="Most keys per second read from the live server.")] = 20_000,
    json: Json = False,
) -> int:
    """Compare the state with the fold of the log. Works key by key, while the partition runs. Exit code 1 on a
    difference: prints the key, both values, and the first event after which they differ."""
    if scratch is not None:
        without_secret("--scratch", scratch)
    async with (
        target.open() as partition,
        target.history(archive, offline=False) as history,
        open_scratch(history.keys, scratch, live=partition.redis) as folding,
    ):
        span = await history.whole()
        verifier = Verifier(partition.redis, history, folding, rate)
        with bar("folding") as (progress, set_total):
            set_total(span.count)
            await folding.follow(history, progress=progress)
        while True:
            with bar("comparing") as (progress, _):
                found = await verifier.check(progress)
            if found is not None:
                return await _report(verifier, *found, json)
            _say_equal(verifier, json)
            if not watch:
                return OK
            await anyio.sleep(interval)


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
    say(f"  live:   {shown_difference(found.live, found.folded)}")
    say(f"  folded: {shown_difference(found.folded, found.live)}")
    story = " ".join(f"{field}={text}" for field, text in found.event.items())
    if found.never_agreed:
        say(f"  no event gave the live value; the last one to write the key: {found.event_id} {story}")
    else:
        say(f"  they differ after {found.event_id} {story}")
    return REFUSED
