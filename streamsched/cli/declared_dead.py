"""``streamsched dead``: what its commands take. What they do stands in ``cli_letters``, imported late."""

from __future__ import annotations

from typing import Annotated

import typer

from ..console.terminal import UsageProblem
from . import completion as cli_complete
from .declared_replay import needs_archive
from .options import ArchiveDir, Json, Target, command

app = typer.Typer(
    name="dead", help="Dead letters: events that were refused, and what to do about them.", no_args_is_help=True
)

Ids = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="ID...", help="Ids of letters, as `dead list` shows them.", autocompletion=cli_complete.letters
    ),
]
All = Annotated[bool, typer.Option("--all", help="All that --code, --type and --since leave.")]
Code = Annotated[
    str | None,
    typer.Option(help="Only those refused with this code, such as UNKNOWN_JOB.", autocompletion=cli_complete.codes),
]
Type = Annotated[
    str | None, typer.Option("--type", help="Only events of this type.", autocompletion=cli_complete.all_types)
]
Since = Annotated[
    str | None,
    typer.Option(metavar="TIME|AGE", help="Only those refused since then: ISO 8601, ms, or an age: 90s, 15m, 2h, 7d."),
]


@command(app, "streamsched dead list --code UNKNOWN_JOB --since 2h")
async def list(
    target: Target,
    code: Code = None,
    type_: Type = None,
    since: Since = None,
    handled: Annotated[bool, typer.Option("--handled", help="Those retried or dropped, too.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="Letters to show.")] = 50,
    archive: ArchiveDir = None,
    json: Json = False,
) -> int:
    """List dead letters, the latest first: those that nobody has retried or dropped yet."""
    if archive is not None:
        needs_archive()
    from .recover.dead import show_letters, wanted

    return await show_letters(target, wanted(code, type_, since, handled), limit, archive, json)


@command(app, "streamsched dead show 1700000000000-0")
async def show(
    target: Target,
    letter: Annotated[str, typer.Argument(metavar="ID", autocompletion=cli_complete.letters)],
    archive: ArchiveDir = None,
    json: Json = False,
) -> int:
    """Show one letter: why it was refused, each field of the event, and whether it can be retried."""
    if archive is not None:
        needs_archive()
    from .recover.dead import show_letter

    return await show_letter(target, letter, archive, json)


@command(app, "streamsched dead retry --all --code INTERNAL")
async def retry(
    target: Target,
    letters: Ids = None,
    every: All = False,
    code: Code = None,
    type_: Type = None,
    since: Since = None,
    archive: ArchiveDir = None,
    json: Json = False,
) -> int:
    """Append the events of letters once more, in the order in which they were refused. Each takes effect once, however
    often it is retried; one that is refused again stays listed. Exit code 1 if any was refused."""
    if archive is not None:
        needs_archive()
    from .recover.dead import retry_letters, wanted

    named(letters, every, code, type_, since)
    return await retry_letters(target, letters or [], wanted(code, type_, since), archive, json)


@command(app, "streamsched dead drop 1700000000000-0 --reason 'sent by a test' --yes")
async def drop(
    target: Target,
    letters: Ids = None,
    every: All = False,
    code: Code = None,
    type_: Type = None,
    since: Since = None,
    reason: Annotated[str | None, typer.Option(help="Kept in the log.")] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    archive: ArchiveDir = None,
    json: Json = False,
) -> int:
    """Take letters off the list: nothing is to be done about them. The log keeps who said so, `list --handled` shows
    them, and they may be retried all the same."""
    if archive is not None:
        needs_archive()
    from .recover.dead import drop_letters, wanted

    named(letters, every, code, type_, since)
    return await drop_letters(target, letters or [], wanted(code, type_, since), reason, yes, archive, json)


def named(letters: Ids, every: bool, *chosen: str | None) -> None:
    """Make sure that a command says which letters it is about, in one way.

    Raises:
        UsageProblem: it does not.
    """
    if bool(letters) == every:
        raise UsageProblem("give the ids of letters, or --all for all that --code, --type and --since leave")
    if letters and any(chosen):
        raise UsageProblem("--code, --type and --since go with --all, not with ids")
