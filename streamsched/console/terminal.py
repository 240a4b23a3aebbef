"""Shared by all commands: exit codes, one line an error, output that cannot harm the terminal."""

from __future__ import annotations

import enum
import io
import os
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any, NoReturn

from ..sanitize import ascii_json, mask, one_line, visible, visible_json

if TYPE_CHECKING:
    from rich.console import Console


class Exit(enum.IntEnum):
    """How a command ends: all exit codes with their meaning. docs/operations.md has the same table."""

    OK = 0
    REFUSED = 1
    USAGE = 2
    UNREACHABLE = 3
    INTERRUPTED = 130

    @property
    def meaning(self) -> str:
        """The meaning in a few words."""
        return MEANINGS[self]


OK, REFUSED, USAGE, UNREACHABLE, INTERRUPTED = Exit

MEANINGS = {
    OK: "done",
    REFUSED: "refused, failed, or something is wrong",
    USAGE: "the command line or a setting cannot be used",
    UNREACHABLE: "no server answered, or it refused the login",
    INTERRUPTED: "ended by Ctrl-C",
}

PIPE_WIDTH = 200
"""Columns of a table when the output is not a terminal."""

START_ONE = "start one with `streamsched dev`, or give the right --url or STREAMSCHED_URL"


class UsageProblem(Exception):
    """The command line cannot be used; the text names the argument and the remedy."""


def address_of(option: str, text: str) -> tuple[str, int]:
    """Read ``HOST:PORT`` to listen on. Without a host: every address. With port 0: a free port.

    Raises:
        UsageProblem: the port is missing or not a number.
    """
    host, colon, port = text.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise UsageProblem(f"{option} {text}: give HOST:PORT, such as 127.0.0.1:8080")
    return host or "0.0.0.0", int(port)


def needs(what: str, extra: str, *modules: str) -> None:
    """Check that the modules of an extra are installed.

    Raises:
        UsageProblem: one is missing; the text says how to install it.
    """
    try:
        for module in modules:
            import_module(module)
    except ImportError:
        raise UsageProblem(f"this needs {what}: pip install 'streamsched[{extra}]'") from None


def say(text: str) -> None:
    """Print a line of output."""
    print(visible(text), flush=True)


def complain(text: str) -> None:
    """Print a line about a problem."""
    print(f"streamsched: {one_line(text)}", file=sys.stderr, flush=True)


def as_json(value: Any) -> None:
    """Print ``value`` as one line of JSON."""
    import msgspec

    text = visible_json(msgspec.json.encode(value).decode())
    encoding = sys.stdout.encoding.lower().replace("-", "")
    print(text if encoding == "utf8" else ascii_json(text), flush=True)


def console() -> Console:
    """Return the console for tables: as wide as the terminal; in a pipe or a file, wide enough for whole ids."""
    from rich.console import Console

    class Screen(Console):
        def on_broken_pipe(self) -> None:
            raise  # the BrokenPipeError in flight: `run` exits cleanly on it, rich would exit with 1

    return Screen(highlight=False, width=None if sys.stdout.isatty() else PIPE_WIDTH)


async def agreed(what: str, question: str, yes: bool) -> bool:
    """Ask before something is destroyed; ``yes`` skips the question, for scripts.

    Raises:
        UsageProblem: stdin is no terminal.
    """
    import anyio.to_thread

    if yes:
        return True
    if not sys.stdin.isatty():
        raise UsageProblem(f"{what} Give --yes to skip the question")
    say(what)
    answer = await anyio.to_thread.run_sync(input, f"{question} [y/N] ", abandon_on_cancel=True)
    if answer.strip().lower() in ("y", "yes"):
        return True
    complain("nothing changed")
    return False


@contextmanager
def bar(what: str, shown: bool = True) -> Iterator[tuple[Callable[[int], None], Callable[[int], None]]]:
    """Show the progress of a long task on stderr, with its rate and the time left.

    Yields two functions: one takes the number done so far, the other the total.
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(f"{task.speed or 0:,.0f}/s")

    number, left = TextColumn("{task.completed:,}"), TimeRemainingColumn()
    columns = (TextColumn("{task.description}"), BarColumn(), number, Rate(), left)
    unseen = not (shown and sys.stderr.isatty())
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=unseen) as progress:
        task = progress.add_task(what, total=None)
        yield (
            lambda done: progress.update(task, completed=done),
            lambda total: progress.update(task, total=total),
        )


def leaves(problem: BaseException) -> Iterator[BaseException]:
    """Yield the errors of an exception group in order; an error alone is yielded as it is."""
    if isinstance(problem, BaseExceptionGroup):
        for inner in problem.exceptions:
            yield from leaves(inner)
    else:
        yield problem


def verdict(problem: BaseException) -> tuple[int, str] | None:
    """Return exit code and text for an error that a user can act on; ``None`` for a bug, which keeps its traceback."""
    from redis.exceptions import RedisError

    from ..connect.outage import NO_ANSWER, is_away
    from ..contract.errors import SchedulerError, ServerUnreachable
    from ..file_lock import NotOnThisPlatform
    from ..ops.settings import SettingsError
    from ..server.embedded import DataInUse, ServerDidNotStart
    from .remedies import with_remedy

    if isinstance(problem, SettingsError | UsageProblem | DataInUse | NotOnThisPlatform):
        return USAGE, str(problem)
    if isinstance(problem, ServerUnreachable):
        text = mask(str(problem))
        return UNREACHABLE, f"{text}; {START_ONE}" if problem.detail.startswith(NO_ANSWER) else text
    if isinstance(problem, SchedulerError):
        return REFUSED, mask(with_remedy(problem.code, problem.detail))
    if isinstance(problem, ServerDidNotStart):
        return UNREACHABLE, str(problem)
    if isinstance(problem, RedisError):
        if is_away(problem):
            return UNREACHABLE, f"UNREACHABLE: {mask(str(problem))}; {START_ONE}"
        return REFUSED, f"SERVER: {mask(str(problem))}"
    return None


def run(command: Callable[[], Awaitable[int | None]]) -> NoReturn:
    """Run a command to its end and leave with its exit code."""
    import anyio

    from ..ops import logs

    logs.configure(level=30)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal of another encoding must not end a command
            stream.reconfigure(errors="backslashreplace")

    async def main() -> Exit:
        return Exit(await command() or OK)

    try:
        code = anyio.run(main)
    except KeyboardInterrupt:
        code = INTERRUPTED
    except BaseException as problem:
        problems = list(leaves(problem))
        found = [verdict(inner) for inner in problems]
        if any(isinstance(inner, BrokenPipeError) for inner in problems):
            # the reader of the output is gone, as with `| head`: print and flush nothing more
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            code = OK
        elif None in found:
            raise
        else:
            worst, text = max(row for row in found if row)
            complain(text)
            code = Exit(worst)
    sys.exit(code)
