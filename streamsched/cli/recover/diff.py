"""``streamsched diff``: what changed in the state between two moments."""

from __future__ import annotations

from collections import Counter
from contextlib import AsyncExitStack
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from ...console.terminal import OK, as_json, bar, console, say
from ...replay.at import state_at
from ...replay.diff import Change, changes
from ...sanitize import one_line
from ...server.embedded import EmbeddedServer
from ..options import ArchiveDir, Json, Offline, Target, command
from .at import moment_words


@command("streamsched diff 1700000000000 1700000060000")
async def diff(
    target: Target,
    first: Annotated[str, typer.Argument(metavar="ID|TIME")],
    second: Annotated[str, typer.Argument(metavar="ID|TIME")],
    archive: ArchiveDir = None,
    offline: Offline = False,
    limit: Annotated[int, typer.Option(min=0, help="Keys to show.")] = 100,
    json: Json = False,
) -> int:
    """Show what changed between two moments."""
    async with target.history(archive, offline) as history:
        moments = [await history.id_at(first), await history.id_at(second)]
        async with AsyncExitStack() as stack:
            servers = [stack.enter_context(EmbeddedServer()) for _ in moments]
            with bar("folding") as (progress, _):
                before, after = [
                    await stack.enter_async_context(state_at(server.url, history, moment, progress))
                    for server, moment in zip(servers, moments, strict=True)
                ]
            totals: Counter[str] = Counter()
            shown: list[Change] = []
            async for change in changes(before.redis, after.redis, history.keys):
                totals[f"{change.key.split(':')[0]} {change.kind}"] += 1
                if len(shown) < limit:
                    shown.append(change)
            shown.sort(key=lambda change: change.key)
            if json:
                as_json({"from": before.watermark, "to": after.watermark, "totals": totals, "changes": shown})
            else:
                say(f"from {moment_words(before.watermark, before.folded)}")
                say(f"to   {moment_words(after.watermark, after.folded)}")
                console().print(_table(shown, sum(totals.values())))
    return OK


def _table(shown: list[Change], total: int) -> Table:
    table = Table(title=f"{total} keys differ", title_justify="left")
    for column in ("key", "", "before", "after"):
        table.add_column(column, overflow="fold")
    for change in shown:
        table.add_row(Text(one_line(change.key)), change.kind, _words(change.before), _words(change.after))
    if total > len(shown):
        table.caption = f"… and {total - len(shown)} more (--limit shows more)"
    return table


def _words(value: Any) -> Text:
    if isinstance(value, dict):
        value = " ".join(f"{field}={text}" for field, text in value.items())
    elif isinstance(value, list):
        value = " ".join(str(member) for member in value)
    return Text(one_line(str(value if value is not None else "")))
