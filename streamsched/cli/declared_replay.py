"""The commands that read a whole history: what each takes. What it does stands in other modules, imported late."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from ..console.terminal import UsageProblem, needs
from . import completion as cli_complete
from .options import ArchiveDir, Json, Offline, Target, command, pair_of

app = typer.Typer()


@command(app, "streamsched rebuild --from ./archive --yes")
async def rebuild(
    target: Target,
    source: Annotated[
        Path | None, typer.Option("--from", metavar="DIR", help="Fold this archive first, then what the log holds.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    json: Json = False,
) -> int:
    """Drop the folded state and fold the log anew, from an archive where the log is gone or was trimmed. Calls wait
    until it is done; ended half way, the same command goes on."""
    if source is not None:
        needs_archive()
    from .recover.rebuild import rebuild_state

    return await rebuild_state(target, source, yes, json)


@command(app, "streamsched archive --to ./archive --trim --yes")
async def archive(
    target: Target,
    to: Annotated[Path, typer.Option("--to", metavar="DIR", help="Folder of the archive; made if it is not there.")],
    source: Annotated[
        Path | None,
        typer.Option("--from", metavar="DIR", help="Begin with what this archive shares with the log."),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Archive what is folded by now, and end.")] = False,
    trim: Annotated[
        bool, typer.Option("--trim", help="Trim the log below what is archived, folded and of no alive job.")
    ] = False,
    check: Annotated[bool, typer.Option("--check", help="Check the archive, without any server, and end.")] = False,
    max_events: Annotated[int, typer.Option(min=1, help="Events of one segment.")] = 100_000,
    max_age: Annotated[float, typer.Option(min=0, help="Seconds after which a smaller one is written.")] = 60.0,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before trimming.")] = False,
    json: Json = False,
) -> int:
    """Carry the log to disk, as a chain of Parquet files. Runs until SIGTERM or Ctrl-C; one process a partition.
    Exit code 1 if --check finds something wrong."""
    needs_archive()
    from .recover.archive import ArchiveOptions, archive_log, check_archive

    if check:
        if trim or once or source:
            raise UsageProblem("--check goes alone: it changes nothing")
        return await check_archive(to, json)
    options = ArchiveOptions(
        folder=to, source=source, once=once, trim=trim, yes=yes, max_events=max_events, max_age_s=max_age, json=json
    )
    return await archive_log(target, options)


@command(app, "streamsched verify")
async def verify(
    target: Target,
    archive: ArchiveDir = None,
    scratch: Annotated[
        str | None, typer.Option(metavar="URL", help="An empty server to fold on. [default: one is started]")
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Again and again, until Ctrl-C or a difference.")] = False,
    interval: Annotated[float, typer.Option(min=0, help="Seconds between two rounds.")] = 10.0,
    rate: Annotated[float, typer.Option(min=1, help="Keys read from the live server each second, at most.")] = 20_000,
    json: Json = False,
) -> int:
    """Prove that the state is the fold of the log, key by key, while everything goes on. Exit code 1 on a difference:
    prints the key, both values, and the first event after which they part."""
    if archive is not None:
        needs_archive()
    from .recover.verify import VerifyOptions, verify_state

    options = VerifyOptions(archive=archive, scratch=scratch, watch=watch, interval_s=interval, keys_s=rate, json=json)
    return await verify_state(target, options)


@command(app, "streamsched at 2026-01-31T09:30:00Z --archive ./archive")
async def at(
    target: Target,
    moment: Annotated[str, typer.Argument(metavar="ID|TIME", help="An event's id, or a time: ISO 8601, or ms.")],
    archive: ArchiveDir = None,
    offline: Offline = False,
    serve: Annotated[bool, typer.Option("--serve", help="Open it to redis-cli, read-only, until Ctrl-C.")] = False,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="For --serve. [default: a free one]")] = None,
    limit: Annotated[int, typer.Option(min=0, help="Rows of each kind.")] = 50,
    json: Json = False,
) -> int:
    """Show the state as it was at a moment: after that event, or after the last one at or before that time."""
    if archive is not None:
        needs_archive()
    if port is not None and not serve:
        raise UsageProblem("--port goes with --serve")
    from .recover.at import AtOptions, show_at

    options = AtOptions(moment=moment, archive=archive, offline=offline, serve=serve, port=port, limit=limit, json=json)
    return await show_at(target, options)


@command(app, "streamsched diff 1700000000000 1700000060000")
async def diff(
    target: Target,
    first: Annotated[str, typer.Argument(metavar="ID|TIME")],
    second: Annotated[str, typer.Argument(metavar="ID|TIME")],
    archive: ArchiveDir = None,
    offline: Offline = False,
    limit: Annotated[int, typer.Option(min=0, help="Keys to show.")] = 100,
    json: Json = False,
) -> int:
    """Show what changed in the state between two moments."""
    if archive is not None:
        needs_archive()
    from .recover.diff import DiffOptions, show_diff

    options = DiffOptions(first=first, second=second, archive=archive, offline=offline, limit=limit, json=json)
    return await show_diff(target, options)


@command(app, "streamsched trace job s1:4711")
async def trace(
    target: Target,
    kind: Annotated[Literal["job", "node", "session", "pool", "pair"], typer.Argument()],
    name: Annotated[str, typer.Argument(metavar="ID|SRC:TGT", autocompletion=cli_complete.subjects)],
    archive: ArchiveDir = None,
    offline: Offline = False,
    json: Json = False,
) -> int:
    """Tell the story of a job, a node or a session, one line an event, with the time since the one before; of a pool or
    a language pair, who paused and resumed it, and what was configured."""
    if kind == "pair":
        pair_of(name)
    if archive is not None:
        needs_archive()
    from .observe.trace import show_trace

    return await show_trace(target, kind, name, archive, offline, json)


@command(app, "streamsched explain job s1:4711")
async def explain(
    target: Target,
    kind: Annotated[Literal["job"], typer.Argument()],
    name: Annotated[str, typer.Argument(metavar="ID", autocompletion=cli_complete.jobs)],
    archive: ArchiveDir = None,
    offline: Offline = False,
    json: Json = False,
) -> int:
    """Say why a job went where it went; or, if it waits, what speaks against each node of its pair."""
    if archive is not None:
        needs_archive()
    from .observe.explain import show_explanation

    return await show_explanation(target, name, archive, offline, json)


@command(app, "streamsched query 'SELECT status, count(*) FROM jobs GROUP BY 1' --archive ./archive")
async def query(
    target: Target,
    sql: Annotated[str, typer.Argument(metavar="SQL", help="In the dialect of DuckDB.")],
    archive: ArchiveDir = None,
    offline: Offline = False,
    csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="Rows of the table.")] = 100,
    json: Json = False,
) -> int:
    """Ask the history in SQL. Views: events, jobs (with their timings), node_availability, unserved (time in which a
    language pair had no node), moves (of sessions, with their cause), dead_letters."""
    if csv and json:
        raise UsageProblem("--csv and --json exclude each other: leave one out")
    needs_archive()
    needs("DuckDB", "query", "duckdb")
    from .observe.query import show_query

    return await show_query(target, sql, archive, offline, "csv" if csv else "json" if json else "table", limit)


@command(app, "streamsched snapshot --to ./archive")
async def snapshot(
    target: Target,
    to: Annotated[Path, typer.Option("--to", metavar="DIR", help="Folder of the archive.")],
    at: Annotated[str | None, typer.Option(metavar="ID|TIME", help="[default: the end of the archive]")] = None,
    json: Json = False,
) -> int:
    """Keep the state as of a moment beside the segments, made from them without any server; at, rebuild --from and
    explain start from the nearest one."""
    needs_archive()
    from .recover.snapshot import make_snapshot

    return await make_snapshot(target, to, at, json)


def needs_archive() -> None:
    """Make sure that what reads and writes Parquet is installed.

    Raises:
        UsageProblem: it is not; the text says how to install it.
    """
    needs("pyarrow", "archive", "pyarrow")
