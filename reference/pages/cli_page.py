"""The command line as a page: ``docs/reference/cli.md``."""

from __future__ import annotations

import re
from importlib import import_module
from typing import Any

import typer.core

from streamsched.cli.app import COMMANDS, Entry
from streamsched.cli.options import COMMON
from streamsched.console.terminal import Exit

from .markdown import table, written_from

HEAD = """\
# Command line

`streamsched COMMAND --help` prints the same as this page. `streamsched --install-completion` makes bash, zsh or fish
complete commands, options, and the ids of nodes, pools and jobs.
"""

SHARED = """\
## Shared options

Most commands take these. An option that is not given comes from the environment, then from the TOML file, then from its
default: see [Configuration](configuration.md). A command that starts a server of its own has no `--url`.
"""

EXITS = """\
## Exit codes

Problems are printed on stderr, one line each. [Operations](../operations.md#exit-codes) has examples.
"""

SHARED_FLAGS = {f"--{name.replace('_', '-')}" for name in COMMON}


def loaded(name: str, entry: Entry) -> Any:
    """Import a command as the program does."""
    return getattr(import_module(f"streamsched.cli.{entry.module}"), name)


def option_rows(command: Any) -> list[tuple[str, str]]:
    """Return the arguments and options of a command, as its help prints them, without the shared ones."""
    context = typer.Context(command, info_name=command.name)
    rows: list[tuple[str, str]] = []
    for parameter in command.params:
        if SHARED_FLAGS & set(parameter.opts):
            continue
        name, words = parameter.get_help_record(context) or (parameter.name.upper(), "")
        rows.append((f"`{name}`", words.replace("\n", " ")))
    return rows


def parts_of(words: str) -> tuple[str, str]:
    """Split a help text into its paragraphs and its example."""
    paragraphs, _, example = words.partition("\b\nExample:\n")
    flowing = "\n\n".join(" ".join(part.split()) for part in re.split(r"\n\s*\n", paragraphs.strip()))
    return flowing, example.strip()


def section(title: str, command: Any, level: str, extra: str = "") -> str:
    """Return one command, and those below it where it is a group."""
    words, example = parts_of(command.help or "")
    parts = [f"{level} {title}\n", words + "\n"]
    if extra:
        parts.append(f"Needs the extra `{extra}`: `pip install 'streamsched[{extra}]'`.\n")
    if example:
        parts.append(f"    {example}\n")
    below = getattr(command, "commands", {})
    rows = [] if below else option_rows(command)
    if rows:
        parts.append(table(rows, ("argument or option", "meaning")))
    parts += [section(f"{title} {name}", found, level + "#") for name, found in below.items()]
    return "\n".join(parts)


def shared() -> str:
    """Return the options that every command shares, as ``worker`` has them."""
    command = loaded("worker", COMMANDS["Run"]["worker"])
    context = typer.Context(command, info_name="worker")
    records = [parameter.get_help_record(context) for parameter in command.params if SHARED_FLAGS & set(parameter.opts)]
    return table([(f"`{record[0]}`", record[1]) for record in records if record], ("option", "meaning"))


def text() -> str:
    """Return the page."""
    parts = [written_from("streamsched/cli") + HEAD]
    for title, entries in COMMANDS.items():
        rows = [(f"[`{name}`](#{name})", entry.help) for name, entry in entries.items()]
        parts += [f"**{title}**\n", table(rows, ("command", "what it does"))]
    parts += [SHARED, shared()]
    for entries in COMMANDS.values():
        for name, entry in entries.items():
            parts.append(section(name, loaded(name, entry), "##", entry.extra.name if entry.extra else ""))
    parts += [EXITS, table([(f"{code:d}", code.meaning) for code in Exit], ("code", "meaning"))]
    return "\n".join(parts)
