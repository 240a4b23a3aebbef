"""Options that name a partition, defined once for all commands, and the way to run a command."""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, cast

import typer
import typer.core
import typer.main

from ..console import terminal
from . import completion

if TYPE_CHECKING:
    from ..client.scheduler import Scheduler
    from ..engine.partition import Partition
    from ..history.history import History
    from ..ops.settings import Settings

PATIENCE_S = 5.0
"""How long an interactive command keeps trying to reach the server."""

SERVICE_PATIENCE_S = 30.0
"""The same for ``worker`` and ``node``, which may start together with their server."""

COMMON: dict[str, Any] = {
    "url": Annotated[
        str | None,
        typer.Option(
            "--url", help="Server: redis://, rediss://, unix:// or redis+sentinel://. [default: redis://localhost:6379]"
        ),
    ],
    "password_file": Annotated[
        Path | None,
        typer.Option("--password-file", metavar="FILE", help="File with the password; or set STREAMSCHED_PASSWORD."),
    ],
    "tls_ca": Annotated[
        Path | None,
        typer.Option("--tls-ca", metavar="FILE", help="CA certificates. [default: the system's]"),
    ],
    "tls_cert": Annotated[
        Path | None,
        typer.Option("--tls-cert", metavar="FILE", help="Client certificate, if the server requires one."),
    ],
    "tls_key": Annotated[
        Path | None, typer.Option("--tls-key", metavar="FILE", help="Its key. [default: in the same file]")
    ],
    "namespace": Annotated[
        str | None, typer.Option("--namespace", help="First part of every key. [default: scheduler]")
    ],
    "partition": Annotated[int | None, typer.Option("--partition", help="Number of the partition. [default: 0]")],
    "config": Annotated[
        Path | None,
        typer.Option("--config", help="TOML file with any of these. [default: ./streamsched.toml]"),
    ],
    "patience": Annotated[
        float | None,
        typer.Option(
            "--patience",
            min=0,
            help="Seconds to keep trying while no server answers. "
            f"[default: {PATIENCE_S:g}; worker, node: {SERVICE_PATIENCE_S:g}]",
        ),
    ],
}
"""Options of every command. A missing one comes from the environment, the TOML file, or the default."""

Source = Annotated[
    str | None,
    typer.Option(
        "--source",
        help="Write through the ingress of this source. [or STREAMSCHED_SOURCE]",
        autocompletion=completion.sources,
    ),
]

OF_THE_SERVER = ("url", "password_file", "tls_ca", "tls_cert", "tls_key", "patience")
"""Options that a command which starts its own server leaves out."""

ArchiveDir = Annotated[
    Path | None,
    typer.Option("--archive", metavar="DIR", help="Also read this archive, for events that were trimmed."),
]
Offline = Annotated[bool, typer.Option("--offline", help="Read the archive only, without a server.")]
LogFormat = Annotated[Literal["console", "json"] | None, typer.Option(help="[default: console at a terminal]")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


class Target(NamedTuple):
    """The partition a command works on."""

    settings: Settings
    patience_s: float | None

    @asynccontextmanager
    async def scheduler(self, patience_s: float = PATIENCE_S, source: str | None = None) -> AsyncIterator[Scheduler]:
        """Connect as a producer, or as the source that is named here or in the settings.

        Raises:
            ServerUnreachable, ServerTooOld: see :meth:`Scheduler.connect`.
        """
        from ..client.scheduler import Scheduler

        url, namespace, partition = self.settings.url, self.settings.namespace, self.settings.partition
        speaker = source or self.settings.source
        async with Scheduler.connect(url, namespace, partition, self.patience(patience_s), speaker) as scheduler:
            yield scheduler

    @asynccontextmanager
    async def speak(self, source: str | None) -> AsyncIterator[Partition]:
        """Connect to append, as a source if one is named here or in the settings; do not follow outcomes.

        Raises:
            ServerUnreachable, ServerTooOld: see :func:`open_partition`.
        """
        from ..engine.ingress import open_source

        patience_s, speaker = self.patience(PATIENCE_S), source or self.settings.source
        async with open_source(self.settings.url, self.settings.keys, patience_s, speaker) as partition:
            yield partition

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Partition]:
        """Connect without following outcomes.

        Raises:
            ServerUnreachable, ServerTooOld: see :func:`open_partition`.
        """
        from ..engine.partition import open_partition

        async with open_partition(self.settings.url, self.settings.keys, self.patience(PATIENCE_S)) as partition:
            yield partition

    @asynccontextmanager
    async def history(self, archive: Path | None, offline: bool) -> AsyncIterator[History]:
        """Open the log, an archive, or both as one history.

        Raises:
            UsageProblem: ``offline`` without an archive, or the archive extra is not installed.
            ArchiveDamaged, ServerUnreachable, ServerTooOld: see :func:`open_history`.
        """
        if offline and archive is None:
            raise terminal.UsageProblem("--offline needs --archive DIR: without either there is nothing to read")
        from ..history.history import open_history

        url = None if offline else self.settings.url
        async with open_history(url, self.settings.keys, archive, self.patience(PATIENCE_S)) as history:
            yield history

    def patience(self, default_s: float) -> float:
        """Seconds to keep trying while no server answers."""
        return default_s if self.patience_s is None else self.patience_s


def pair_of(text: str) -> tuple[str, str]:
    """Read a language pair, ``SRC:TGT``.

    Raises:
        UsageProblem: the text is no pair.
    """
    src, _, tgt = text.partition(":")
    if not src or not tgt:
        raise terminal.UsageProblem(f"pair {text!r}: give both languages, such as zh:en")
    return src, tgt


class Options:
    """Base of a dataclass of options that several commands share. A parameter of such a type adds all its fields."""


Body = Callable[..., Awaitable[int | None]]


def command(
    example: str, without: Iterable[str] = (), name: str | None = None
) -> Callable[[Body], typer.core.TyperCommand]:
    """Make a command of an async function ``body(target, …) -> exit code or None``.

    The command has the common options, except those in ``without``. If it is given
    an ``archive``, it checks first that the Parquet extra is installed. Its help is the docstring, with ``example`` as
    the last line. ``name`` is its name; by default that of the function.
    """
    offered = {key: note for key, note in COMMON.items() if key not in without}

    def register(body: Body) -> typer.core.TyperCommand:
        own: list[inspect.Parameter] = []
        shared: dict[str, type[Options]] = {}
        for parameter in list(inspect.signature(body, eval_str=True).parameters.values())[1:]:
            note = parameter.annotation
            if isinstance(note, type) and issubclass(note, Options):
                shared[parameter.name] = note
                own += inspect.signature(note, eval_str=True).parameters.values()
            else:
                own.append(parameter)

        @functools.wraps(body)
        def entry(**given: Any) -> None:
            flags = {key: given.pop(key) for key in offered}
            config, patience = flags.pop("config", None), flags.pop("patience", None)
            for key, group in shared.items():
                given[key] = group(**{name: given.pop(name) for name in inspect.signature(group).parameters})

            async def run() -> int | None:
                from ..ops.settings import load

                if given.get("archive") is not None:
                    terminal.needs("pyarrow", "archive", "pyarrow")
                return await body(Target(load(flags, config), patience), **given)

            terminal.run(run)

        kind = inspect.Parameter.KEYWORD_ONLY
        common = [inspect.Parameter(key, kind, default=None, annotation=note) for key, note in offered.items()]
        given = [parameter.replace(kind=kind) for parameter in own] + common
        entry.__signature__ = inspect.Signature(given)  # type: ignore[attr-defined]
        entry.__annotations__ = {parameter.name: parameter.annotation for parameter in given}
        del entry.__wrapped__
        words = inspect.getdoc(body) or ""
        alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
        alone.command(name=name or body.__name__, help=f"{words}\n\n\b\nExample:\n  {example}")(entry)
        return cast(typer.core.TyperCommand, typer.main.get_command(alone))

    return register
