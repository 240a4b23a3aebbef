"""Every command shows an example of itself, and the examples do what they show."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from streamsched.cli.app import COMMANDS as LISTED
from streamsched.cli.app import app

from ..support.processes import Cli

GO_ON = {
    "streamsched dev",
    "streamsched dashboard",
    "streamsched metrics",
    "streamsched worker",
    "streamsched node",
    "streamsched status",
    "streamsched demo",
    "streamsched archive",
    "streamsched tail",
    "streamsched top",
}
"""Commands whose example runs until it is stopped: it is parsed here, and run by tests of its own."""

DONE = (
    "streamsched append",
    "streamsched uncordon",
    "streamsched cordon",
    "streamsched drain",
    "streamsched retire",
    "streamsched pause",
    "streamsched resume",
    "streamsched configure",
    "streamsched upgrade",
    "streamsched carry",
    "streamsched cancel",
    "streamsched submit",
    "streamsched acl",
    "streamsched trace",
    "streamsched explain",
    "streamsched at",
    "streamsched diff",
    "streamsched dead list",
    "streamsched dead show",
    "streamsched dead retry",
    "streamsched dead drop",
    "streamsched verify",
    "streamsched query",
    "streamsched snapshot",
    "streamsched rebuild",
)
"""The others, in an order in which each finds what it is about."""


def commands(group: Any, path: str = "streamsched") -> Iterator[tuple[str, Any]]:
    """Every command that the program has, groups of commands left out."""
    context = typer.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if hasattr(command, "commands"):
            yield from commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


COMMANDS = dict(commands(typer.main.get_command(app)))


@pytest.mark.parametrize("section", LISTED)
def test_the_line_in_the_list_of_commands_is_the_first_sentence_of_the_commands_own_help(section: str) -> None:
    for name, entry in LISTED[section].items():
        if f"streamsched {name}" in COMMANDS:  # a group has a sentence of its own
            assert (COMMANDS[f"streamsched {name}"].help or "").split(". ")[0].split(".\n")[0] + "." == entry.help


def test_the_list_of_commands_imports_none_of_them() -> None:
    script = "import sys; from streamsched.cli.app import app; app(['-h'], standalone_mode=False); print(*sys.modules)"
    outcome = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    loaded = set(outcome.split())
    assert not {"redis", "anyio", "msgspec", "rich"} & loaded, loaded


def examples(path: str) -> list[str]:
    """The examples in the help of a command."""
    _, _, shown = (COMMANDS[path].help or "").partition("Example:\n")
    return [line.strip() for line in shown.splitlines() if line.strip()]


@pytest.mark.parametrize("path", COMMANDS)
def test_every_command_shows_an_example_that_it_understands(path: str) -> None:
    assert examples(path), f"{path}: give command() an example"
    for example in examples(path):
        words = shlex.split(re.sub(r" >> ?\S+$", "", example))
        own = path.split()
        assert words[: len(own)] == own
        COMMANDS[path].make_context(path, words[len(own) :])  # raises where an option or argument is none of its own


def test_every_example_is_done_or_goes_on() -> None:
    assert {*GO_ON, *DONE} == {*COMMANDS}
    assert not GO_ON & {*DONE}


@pytest.fixture
def fleet(cli: Cli) -> Cli:
    """A partition in which there is what the examples speak of: nodes, a job, a letter, a time in the past."""
    at = 1_700_000_000_000
    events = [
        {"type": "node.registered", "node_id": node, "cap_json": "{}", "pool_names_json": '[{"id":1,"name":"en-zh"}]'}
        for node in ("n1", "gpu-7", "gpu-8", "gpu-9")
    ]
    events += [{"type": "node.offline", "node_id": event["node_id"]} for event in events]
    events.append({"type": "job.submitted", "session_id": "s1", "src_lang": "en", "tgt_lang": "zh"})
    events[-1] |= {"payload_json": "{}", "job_id": "s1:4711"}
    events.append({"type": "session.released", "session_id": "s9"})
    for n, event in enumerate(events):
        cli.redis.xadd(cli.keys("events"), event, id=f"{at + 20_000 * n}-0")
    refused = {"id": f"{at - 1}-0", "stream": "events", "code": "UNKNOWN_NODE", "reason": "never registered"}
    cli.redis.xadd(cli.keys("dead"), refused | {"type": "node.offline", "node_id": "n9"}, id=f"{at}-0")
    (cli.folder / "worker.secret").write_text("secret\n")
    assert cli.run("append", "node.uncordoned", "node_id=n1").code == 0
    return cli


def test_every_example_that_ends_does_what_it_shows(fleet: Cli) -> None:
    def run(line: str) -> None:
        environment = fleet.environment | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
        outcome = subprocess.run(
            ["bash", "-c", line], capture_output=True, cwd=fleet.folder, env=environment, timeout=60
        )
        assert outcome.returncode == 0, (line, outcome)

    for path in DONE:
        if path == "streamsched submit":  # which waits for a node
            fleet.start("node", "n2", "--pools", "en-zh", "--exec", "cat")
        if path == "streamsched at":
            run("streamsched archive --to ./archive --once")
        for example in examples(path):
            run(example)
