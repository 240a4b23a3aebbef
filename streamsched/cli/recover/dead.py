"""``streamsched dead``: letters listed, shown, retried and dropped."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

import anyio
import msgspec
import typer
import typer.core
from rich import box
from rich.table import Table
from rich.text import Text

from ...connect.client import connect
from ...console.events import moment
from ...console.remedies import with_remedy
from ...console.terminal import OK, REFUSED, UsageProblem, agreed, complain, console, say
from ...console.terminal import as_json as print_json
from ...contract.errors import SchedulerError, ServerUnreachable
from ...deadletters.queue import DeadLetterQueue, Letter, LetterFilter, drop, retry
from ...engine.partition import Partition
from ...engine.replies import Answer
from ...sanitize import mask, one_line
from ...state.letters import count_letters
from .. import completion
from ..durations import since_when
from ..options import ArchiveDir, Json, Target, command, needs_archive

Ids = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="ID...", help="Ids of letters, as `dead list` shows them.", autocompletion=completion.letters
    ),
]
All = Annotated[bool, typer.Option("--all", help="All that --code, --type and --since leave.")]
Code = Annotated[
    str | None,
    typer.Option(help="Only those refused with this code, such as UNKNOWN_JOB.", autocompletion=completion.codes),
]
Type = Annotated[
    str | None, typer.Option("--type", help="Only events of this type.", autocompletion=completion.all_types)
]
Since = Annotated[
    str | None,
    typer.Option(metavar="TIME|AGE", help="Only those refused since then: ISO 8601, ms, or an age: 90s, 15m, 2h, 7d."),
]

REASON = 100
"""Characters of a reason that a line of the list shows."""


@command("streamsched dead list --code UNKNOWN_JOB --since 2h", name="list")
async def list_letters(
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

    trimmed = 0
    async with opened(target, archive) as (partition, letters):
        shown: list[Letter] = []
        more = False
        async for letter in letters.newest_first(wanted(code, type_, since, handled)):
            more = len(shown) == limit
            if more:
                break
            shown.append(letter)
            if json:
                print_json(letter)
        if archive is None and not more:
            trimmed = (await count_letters(partition.redis, partition.keys)).trimmed
            folder = str(await partition.redis.hget(partition.keys("meta"), "archive"))
    if not json:
        console().print(_table(shown))
        if trimmed:
            say(one_line(f"{trimmed} older letters were trimmed: --archive DIR finds them, kept in {folder}"))
        if more:
            say("… and more (--limit shows more)")
    return OK


@command("streamsched dead show 1700000000000-0", name="show")
async def show_letter(
    target: Target,
    letter: Annotated[str, typer.Argument(metavar="ID", autocompletion=completion.letters)],
    archive: ArchiveDir = None,
    json: Json = False,
) -> int:
    """Show one letter: why it was refused, each field of the event, and whether it can be retried."""
    if archive is not None:
        needs_archive()

    async with opened(target, archive) as (_, letters):
        found = await letters.get(letter)
    if json:
        print_json(found)
        return OK
    say(f"letter {found.letter}: {moment(found.ts)}, entry {found.id} of {found.stream}")
    say(f"{found.code}: {one_line(found.reason)}")
    for name, value in found.fields.items():
        say(f"  {one_line(name)} {one_line(value)}")
    if found.handled:
        say(found.handled)
    elif found.obstacle:
        say(f"it cannot be retried: {found.obstacle}")
    else:
        say(f"`streamsched dead retry {found.letter}` appends it once more, `dead drop` takes it off the list")
    return OK


@command("streamsched dead retry --all --code INTERNAL", name="retry")
async def retry_letters(
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

    named(letters, every, code, type_, since)
    asked = wanted(code, type_, since)
    done = Done()
    async with opened(target, archive) as (partition, queue):
        async for page in _pages(queue, letters or [], asked):
            await _each(page, done, lambda letter: letter.retried, lambda letter: retry(partition, letter), json)
    _sum(done, "retried", json)
    return REFUSED if done.refused else OK


@command("streamsched dead drop 1700000000000-0 --reason 'sent by a test' --yes", name="drop")
async def drop_letters(
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

    named(letters, every, code, type_, since)
    asked = wanted(code, type_, since)
    done, codes = Done(), Counter[str]()
    async with opened(target, archive) as (partition, queue):
        async for page in _pages(queue, letters or [], asked):
            codes.update(letter.code for letter in page if not letter.handled)
        what = ", ".join(f"{count} {code}" for code, count in sorted(codes.items()))
        if codes and not await agreed(f"This takes {codes.total()} letters off the list: {what}.", "Drop?", yes):
            return REFUSED
        async for page in _pages(queue, letters or [], asked):
            await _each(page, done, lambda letter: letter.handled, lambda letter: drop(partition, letter, reason), json)
    _sum(done, "dropped", json)
    return REFUSED if done.refused else OK


def wanted(code: str | None, type_: str | None, since: str | None, handled: bool = False) -> LetterFilter:
    """Read what the flags of a command ask for.

    Raises:
        UsageProblem: ``since`` is neither a time nor an age.
    """
    since_ts = 0 if since is None else since_when(since)[0]
    return LetterFilter(code=code, type=type_, since_ts=since_ts, handled=handled)


@asynccontextmanager
async def opened(target: Target, archive: Path | None) -> AsyncIterator[tuple[Partition, DeadLetterQueue]]:
    """Connect to the partition and to its letters, those of an archive among them.

    Raises:
        ArchiveDamaged: the archive is not readable, or of another partition.
    """
    kept = None
    if archive is not None:
        from ...archive.reader import Archive  # here, because the extra that reads Parquet may be missing

        kept = Archive.open(archive, target.settings.keys)
    async with target.open() as partition:
        raw = connect(target.settings.url, decode=False)
        try:
            yield partition, DeadLetterQueue(raw, target.settings.keys, kept)
        finally:
            with anyio.CancelScope(shield=True):
                await raw.aclose()


def _table(letters: list[Letter]) -> Table | str:
    if not letters:
        return "no dead letter that nobody has seen to"
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("letter", "refused", "code", "type", "about", "reason"):
        table.add_column(column, no_wrap=column in ("letter", "refused", "code"))
    for letter in letters:
        # names and reasons come from anybody: neither markup nor control characters of theirs take effect
        texts = (letter.letter, moment(letter.ts), letter.code, letter.fields["type"], _about(letter), _why(letter))
        table.add_row(*(Text(one_line(text)) for text in texts))
    return table


def _about(letter: Letter) -> str:
    for name in ("job_id", "node_id", "session_id", "letter"):
        if name in letter.fields:
            return f"{name.removesuffix('_id')} {letter.fields[name][:REASON]}"
    return ""


def _why(letter: Letter) -> str:
    if letter.handled:
        return f"{letter.handled}"
    reason = letter.reason if len(letter.reason) <= REASON else letter.reason[:REASON] + "…"
    return f"retried {letter.tries} times, last: {letter.refused_again[:REASON]}" if letter.tries else reason


class Done(msgspec.Struct, kw_only=True):
    """What became of the letters that a command was about."""

    accepted: int = 0
    refused: int = 0
    untouched: int = 0
    """Those that were retried or dropped before."""


async def _pages(letters: DeadLetterQueue, ids: list[str], asked: LetterFilter) -> AsyncIterator[list[Letter]]:
    if ids:
        yield [await letters.get(letter_id) for letter_id in ids]
        return
    async for page in letters.oldest_first(asked):
        yield page


class Fate(msgspec.Struct, omit_defaults=True, kw_only=True):
    """What became of one letter."""

    letter: str
    accepted: bool
    type: str
    id: str = ""
    """Of the entry in the log."""
    job_id: str = ""
    status: str = ""
    """Of the job, after a submission."""
    code: str = ""
    detail: str = ""


async def _each(
    page: list[Letter],
    done: Done,
    before: Callable[[Letter], object],
    act: Callable[[Letter], Awaitable[Answer]],
    json: bool,
) -> None:
    """Act on the letters of a page, all at once, and say of each what came of it."""
    todo = [letter for letter in page if not before(letter)]
    for letter in page:
        if before(letter):
            done.untouched += 1
            if not json:
                say(f"{letter.letter} was {letter.handled.replace(' ', ' before, by event ', 1)}")
    # appends queue in the order in which they are made, and travel together
    pending = [asyncio.ensure_future(act(letter)) for letter in todo]
    for letter, answer in zip(todo, await asyncio.gather(*pending, return_exceptions=True), strict=True):
        fate = _fate(letter, answer)
        done.accepted, done.refused = done.accepted + fate.accepted, done.refused + (not fate.accepted)
        if json:
            print_json(fate)
        elif not fate.accepted:
            complain(f"{letter.letter}: {with_remedy(fate.code, fate.detail)}")
        else:
            say(" ".join(filter(None, (letter.letter, fate.id, fate.job_id, fate.status))))


def _fate(letter: Letter, answer: Answer | BaseException) -> Fate:
    kind = letter.fields["type"]
    if isinstance(answer, SchedulerError) and not isinstance(answer, ServerUnreachable):
        return Fate(letter=letter.letter, accepted=False, type=kind, code=answer.code, detail=mask(answer.detail))
    if isinstance(answer, BaseException):
        raise answer
    job_id, status = answer.job[:2] if answer.job else ("", "")
    return Fate(letter=letter.letter, accepted=True, type=kind, id=answer.event_id, job_id=job_id, status=status)


def _sum(done: Done, what: str, json: bool) -> None:
    if json:
        print_json(done)
        return
    refused = f", {done.refused} refused" if done.refused else ""
    say(f"{done.accepted} {what}{refused}" + (f", {done.untouched} were seen to before" if done.untouched else ""))


def named(letters: Ids, every: bool, *chosen: str | None) -> None:
    """Make sure that a command says which letters it is about, in one way.

    Raises:
        UsageProblem: it does not.
    """
    if bool(letters) == every:
        raise UsageProblem("give the ids of letters, or --all for all that --code, --type and --since leave")
    if letters and any(chosen):
        raise UsageProblem("--code, --type and --since go with --all, not with ids")


dead = typer.core.TyperGroup(
    name="dead",
    help="Dead letters: events that were refused, and what to do about them.",
    no_args_is_help=True,
    rich_markup_mode=None,
    commands=[list_letters, show_letter, retry_letters, drop_letters],
)
