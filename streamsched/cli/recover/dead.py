"""``streamsched dead``: list, show, retry and drop dead letters."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
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
from ..options import ArchiveDir, Json, Options, Target, command

Ids = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="ID...", help="Ids of letters, as `dead list` shows them.", autocompletion=completion.letters
    ),
]
All = Annotated[bool, typer.Option("--all", help="All letters that match --code, --type and --since.")]


@dataclass(frozen=True)
class Selection(Options):
    """The options that select letters."""

    code: Annotated[
        str | None,
        typer.Option(help="Only letters with this code, such as UNKNOWN_JOB.", autocompletion=completion.codes),
    ] = None
    type_: Annotated[
        str | None,
        typer.Option("--type", help="Only letters with this event type.", autocompletion=completion.all_types),
    ] = None
    since: Annotated[
        str | None,
        typer.Option(metavar="TIME|AGE", help="Only letters since then: ISO 8601, ms, or an age: 90s, 15m, 2h, 7d."),
    ] = None

    def filter(self, handled: bool = False) -> LetterFilter:
        """Return the letters that the options select, with or without those that were retried or dropped.

        Raises:
            UsageProblem: ``since`` is neither a time nor an age.
        """
        since_ts = 0 if self.since is None else since_when(self.since)[0]
        return LetterFilter(code=self.code, type=self.type_, since_ts=since_ts, handled=handled)


REASON = 100
"""Most characters of a reason in a line of the list."""


@command("streamsched dead list --code UNKNOWN_JOB --since 2h", name="list")
async def list_letters(
    target: Target,
    selection: Selection,
    handled: Annotated[bool, typer.Option("--handled", help="Include letters that were retried or dropped.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="Letters to show.")] = 50,
    archive: ArchiveDir = None,
    json: Json = False,
) -> int:
    """List open dead letters, the latest first. A letter is open until it is retried or dropped."""
    trimmed = 0
    async with opened(target, archive) as (partition, letters):
        shown: list[Letter] = []
        more = False
        async for letter in letters.newest_first(selection.filter(handled)):
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
            say(one_line(f"{trimmed} older letters were trimmed: --archive DIR finds them in {folder}"))
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
        say(f"`streamsched dead retry {found.letter}` appends it again, `dead drop` removes it from the list")
    return OK


@command("streamsched dead retry --all --code INTERNAL", name="retry")
async def retry_letters(
    target: Target,
    *,
    letters: Ids = None,
    every: All = False,
    selection: Selection,
    archive: ArchiveDir = None,
    json: Json = False,
) -> int:
    """Append the events of letters again, in the order in which they were refused. Each takes effect once, however
    often it is retried; a letter that is refused again stays listed. Exit code 1 if any was refused."""
    asked = chosen(letters, every, selection)
    done = Done()
    async with opened(target, archive) as (partition, queue):
        async for page in _pages(queue, letters or [], asked):
            await _each(page, done, lambda letter: letter.retried, lambda letter: retry(partition, letter), json)
    _sum(done, "retried", json)
    return REFUSED if done.refused else OK


@command("streamsched dead drop 1700000000000-0 --reason 'sent by a test' --yes", name="drop")
async def drop_letters(
    target: Target,
    *,
    letters: Ids = None,
    every: All = False,
    selection: Selection,
    reason: Annotated[str | None, typer.Option(help="Kept in the log.")] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    archive: ArchiveDir = None,
    json: Json = False,
) -> int:
    """Remove letters from the list: they need no action. The log keeps the reason, `list --handled` shows them, and
    they can still be retried."""
    asked = chosen(letters, every, selection)
    done, codes = Done(), Counter[str]()
    async with opened(target, archive) as (partition, queue):
        async for page in _pages(queue, letters or [], asked):
            codes.update(letter.code for letter in page if not letter.handled)
        what = ", ".join(f"{count} {code}" for code, count in sorted(codes.items()))
        if codes and not await agreed(f"This removes {codes.total()} letters from the list: {what}.", "Drop?", yes):
            return REFUSED
        async for page in _pages(queue, letters or [], asked):
            await _each(page, done, lambda letter: letter.handled, lambda letter: drop(partition, letter, reason), json)
    _sum(done, "dropped", json)
    return REFUSED if done.refused else OK


@asynccontextmanager
async def opened(target: Target, archive: Path | None) -> AsyncIterator[tuple[Partition, DeadLetterQueue]]:
    """Connect to the partition and to its letters, with those of an archive.

    Raises:
        ArchiveDamaged: the archive is not readable, or belongs to another partition.
    """
    kept = None
    if archive is not None:
        from ...archive.reader import Archive  # imported here, because the Parquet extra may be missing

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
        return "no open dead letters"
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("letter", "refused", "code", "type", "about", "reason"):
        table.add_column(column, no_wrap=column in ("letter", "refused", "code"))
    for letter in letters:
        # clients choose names and reasons: their markup and control characters must have no effect
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
    """The outcomes for the letters of one command."""

    accepted: int = 0
    refused: int = 0
    untouched: int = 0
    """Letters retried or dropped before."""


async def _pages(letters: DeadLetterQueue, ids: list[str], asked: LetterFilter) -> AsyncIterator[list[Letter]]:
    if ids:
        yield [await letters.get(letter_id) for letter_id in ids]
        return
    async for page in letters.oldest_first(asked):
        yield page


class Fate(msgspec.Struct, omit_defaults=True, kw_only=True):
    """The outcome for one letter."""

    letter: str
    accepted: bool
    type: str
    id: str = ""
    """Id of the log entry."""
    job_id: str = ""
    status: str = ""
    """Id of the job, after a submission."""
    code: str = ""
    detail: str = ""


async def _each(
    page: list[Letter],
    done: Done,
    before: Callable[[Letter], object],
    act: Callable[[Letter], Awaitable[Answer]],
    json: bool,
) -> None:
    """Act on all letters of a page at once, and report each outcome."""
    todo = [letter for letter in page if not before(letter)]
    for letter in page:
        if before(letter):
            done.untouched += 1
            if not json:
                say(f"{letter.letter} was {letter.handled.replace(' ', ' before, by event ', 1)}")
    # appends queue in the order of the calls, and are sent together
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
    say(f"{done.accepted} {what}{refused}" + (f", {done.untouched} were handled before" if done.untouched else ""))


def chosen(letters: Ids, every: bool, selection: Selection) -> LetterFilter:
    """Return the letters that a command acts on if no ids are given.

    Raises:
        UsageProblem: it selects no letters, or selects them in two ways.
    """
    if bool(letters) == every:
        raise UsageProblem("give the ids of letters, or --all for all that match --code, --type and --since")
    if letters and selection != Selection():
        raise UsageProblem("--code, --type and --since need --all, and no ids")
    return selection.filter()


dead = typer.core.TyperGroup(
    name="dead",
    help="Dead letters: events that were refused, and what to do with them.",
    no_args_is_help=True,
    rich_markup_mode=None,
    commands=[list_letters, show_letter, retry_letters, drop_letters],
)
