"""The command ``streamsched``: the table of its commands. A command is imported when it is called."""

from __future__ import annotations

from importlib import import_module
from typing import Annotated, Any, NamedTuple

import typer
import typer.core

from ..console.terminal import OK, USAGE, Exit, UsageProblem, complain, needs, say
from . import completion


class Extra(NamedTuple):
    """What a command needs beyond the package's own dependencies."""

    name: str
    what: str
    modules: tuple[str, ...]


PARQUET = Extra("archive", "pyarrow", ("pyarrow",))
PAGE = Extra("dashboard", "Starlette and uvicorn", ("starlette", "uvicorn"))
EXPORTER = Extra("metrics", "prometheus-client", ("prometheus_client",))
SCREEN = Extra("top", "Textual", ("textual",))
SQL = Extra("query", "DuckDB and pyarrow", ("duckdb", "pyarrow"))


class Entry(NamedTuple):
    """Where a command is, and its line in the list of commands."""

    module: str
    help: str
    extra: Extra | None = None


COMMANDS: dict[str, dict[str, Entry]] = {
    "Run": {
        "dev": Entry("run.dev", "Start a server and a worker for development."),
        "worker": Entry("run.worker", "Fold events and make the decisions that are due."),
        "node": Entry("run.node", "Run jobs with a program of your own."),
        "dashboard": Entry("run.dashboard", "Show the partition in a browser.", PAGE),
        "metrics": Entry("run.metrics", "Serve metrics for Prometheus.", EXPORTER),
        "demo": Entry("run.demo", "Watch a fleet at work while its processes are killed."),
    },
    "Operate": {
        "submit": Entry("operate.submit", "Submit a job."),
        "carry": Entry("operate.carry", "Let jobs wait without keeping the log from being trimmed."),
        "cancel": Entry("operate.submit", "Cancel a job."),
        "append": Entry("operate.append", "Append events to the log."),
        "cordon": Entry("operate.nodes", "Send no more jobs to nodes."),
        "uncordon": Entry("operate.nodes", "Send jobs to nodes again."),
        "drain": Entry("operate.nodes", "Send no more jobs to nodes, and wait until they hold none."),
        "retire": Entry("operate.nodes", "Forget nodes that are offline and hold no jobs."),
        "pause": Entry("operate.pause", "Dispatch no jobs of a pool or a language pair."),
        "resume": Entry("operate.pause", "Dispatch jobs of a pool or a language pair again."),
        "upgrade": Entry(
            "operate.upgrade", "Fold the log by the newest version that this program knows, from here on."
        ),
        "configure": Entry("operate.configure", "Show or change the configuration."),
        "acl": Entry("operate.acl", "Print the ACL rules of a role."),
    },
    "Observe": {
        "status": Entry("observe.status", "Show nodes, pools and waiting jobs."),
        "top": Entry("observe.top", "Watch nodes, jobs and the log in the terminal.", SCREEN),
        "tail": Entry("observe.tail", "Follow the log."),
        "trace": Entry("observe.trace", "Show the history of a job, a node or a session."),
        "explain": Entry("observe.explain", "Explain why a job is where it is."),
        "query": Entry("observe.query", "Query the history in SQL.", SQL),
    },
    "Keep and recover": {
        "archive": Entry("recover.archive", "Copy the log to disk, as a chain of Parquet files.", PARQUET),
        "snapshot": Entry("recover.snapshot", "Save the state at a moment, beside the archive.", PARQUET),
        "verify": Entry("recover.verify", "Compare the state with the fold of the log."),
        "at": Entry("recover.at", "Show the state at a moment of the past."),
        "diff": Entry("recover.diff", "Show what changed between two moments."),
        "rebuild": Entry("recover.rebuild", "Drop the state and fold the log again."),
        "dead": Entry("recover.dead", "List, retry or drop dead letters."),
    },
}
"""Every command, by its section of the help."""


class Commands(typer.core.TyperGroup):
    """The commands of :data:`COMMANDS`. Listing them imports none of them."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names in the order of the help."""
        return [name for section in COMMANDS.values() for name in section]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Import a command; ``None`` if no command has this name.

        Raises:
            typer.Exit: an extra of the package is missing; the command printed what to install.
        """
        entry = next((section[cmd_name] for section in COMMANDS.values() if cmd_name in section), None)
        if entry is None:
            return None
        if entry.extra is not None:
            try:
                needs(entry.extra.what, entry.extra.name, *entry.extra.modules)
            except UsageProblem as problem:
                complain(str(problem))
                raise typer.Exit(USAGE) from None
        return getattr(import_module(f".{entry.module}", __package__), cmd_name)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command of a command line. A typo gets the nearest names."""
        self.commands = dict.fromkeys(self.list_commands(ctx), self)  # typer looks for near names among the keys
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Print the list by section."""
        for title, section in COMMANDS.items():
            with formatter.section(title):
                formatter.write_dl([(name, entry.help) for name, entry in section.items()], col_max=12)


class Program(typer.Typer):
    """The command, or the completion script's question to it."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        with completion.in_words_of_bash():
            return super().__call__(*args, **kwargs)


app = Program(
    name="streamsched",
    cls=Commands,
    help="An event-sourced scheduler over Redis Streams. Start with: streamsched dev",
    epilog="Settings come from flags, then STREAMSCHED_URL, STREAMSCHED_NAMESPACE and so on, then a TOML "
    "file (--config, STREAMSCHED_CONFIG, ./streamsched.toml, ~/.config/streamsched/config.toml). "
    f"Exit codes: {', '.join(f'{code:d} {code.meaning}' for code in Exit)}.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(invoke_without_command=True)
def streamsched(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    if version:
        from ..version import __version__

        say(f"streamsched {__version__}")
        raise typer.Exit(OK)
