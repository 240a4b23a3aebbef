"""Completion in a real bash: keys are pressed, and what stands on the line then is read."""

from __future__ import annotations

import os
import pty
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from streamsched.cli.completion import PLAIN, joined
from streamsched.server.embedded import free_port

from ..support.processes import Cli, eventually

BIN = Path(sys.executable).parent
INSERT_ALL = "\x1b*"
"""The key that puts all that is offered on the line."""


class Bash:
    """An interactive bash that has read the completion script."""

    def __init__(self, cli: Cli, **environment: str) -> None:
        self.folder, self.lines = cli.folder / "bash", 0
        (self.folder / "empty").mkdir(parents=True)
        ours = {"PATH": f"{BIN}:{os.environ['PATH']}", "TERM": "dumb", "PS1": "", "HISTFILE": ""}
        script = cli.run(_STREAMSCHED_COMPLETE="source_bash")
        assert script.code == 0
        (self.folder / "script").write_text(script.out)
        (self.folder / "inputrc").write_text("set enable-bracketed-paste off\nset bell-style none\n")
        self.terminal, theirs = pty.openpty()
        self.process = subprocess.Popen(
            ["bash", "--noprofile", "--norc", "-i"],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            cwd=self.folder / "empty",
            env=cli.environment | ours | {"INPUTRC": str(self.folder / "inputrc")} | environment,
            start_new_session=True,
        )
        os.close(theirs)
        assert self._run("source ../script; echo read") == "read"

    def _run(self, line: str, key: str = "") -> str:
        self.lines += 1
        outcome = self.folder / f"told{self.lines}"
        os.write(self.terminal, f"{line}{key} > {outcome}\r".encode())
        return str(eventually(lambda: outcome.exists() and outcome.read_text().strip()))

    def offered(self, typed: str) -> str:
        """What stands behind what was typed once the key is pressed."""
        # the key of the beginning of the line, so that the line is printed and not run
        line = self._run(typed, f"{INSERT_ALL}\x01printf '%s ' . \x05")
        assert line.startswith(f". {typed.rstrip()}"), line
        return line.removeprefix(f". {typed.rstrip()}").strip()

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.terminal)


@pytest.fixture
def bash(cli: Cli) -> Iterator[Bash]:
    for node_id, pool in (("gpu-1", "en-zh"), ("gpu-2", "en-zh"), ("cpu-1", "de-fr")):
        registered = ("node.registered", f"node_id={node_id}", "cap_json={}", f'pool_names_json=[{{"name":"{pool}"}}]')
        assert cli.run("append", *registered).code == 0
    events = [
        '{"type":"node.heartbeat","node_id":"gpu-1","online":true}',
        *(
            f'{{"type":"job.submitted","session_id":"{session_id}","src_lang":"en","tgt_lang":"zh","job_id":"{job_id}",'
            '"payload_json":"{}"}'
            for session_id, job_id in (("s1", "s1:7"), ("s1", "s1:8"), ("*", "$(touch x)"))
        ),
        '{"type":"pair.paused","src_lang":"de","tgt_lang":"fr"}',
        '{"type":"node.cordoned","node_id":"nobody"}',
    ]
    cli.run("append", "-", stdin="\n".join(events))
    shell = Bash(cli)
    yield shell
    shell.close()


def test_bash_offers_commands_event_types_and_the_names_that_the_partition_knows(bash: Bash, cli: Cli) -> None:
    letter = cli.redis.xrange(cli.keys("dead"))[0][0]
    table = {
        "streamsched uncor": "don",
        "streamsched append node.cor": "doned",
        "streamsched append node.cordoned node_id=gpu-": "1 gpu-2",
        "streamsched append job.cancelled job_id=s1:": "7 8",
        "streamsched pause --pool en": "-zh",
        "streamsched pause --pair zh:": "en",
        "streamsched pause --pair=en:": "zh",
        "streamsched resume --pair d": "e:fr",
        "streamsched cancel ": "s1:7 s1:8",
        "streamsched trace node c": "pu-1",
        "streamsched trace session ": "s1",
        "streamsched dead show ": letter,
        "streamsched dead list --code UN": "KNOWN_NODE",
        "streamsched tail type=job.dis": "patched",
        "streamsched configure max_at": "tempts=3",
        "streamsched submit --session s1 --src en --tgt z": "h",
        "streamsched node --namespace other ": "",
    }
    assert {typed: bash.offered(typed) for typed in table} == table
    assert not list((bash.folder / "empty").iterdir()), "a name was carried out"


def test_nothing_is_offered_and_nothing_said_where_the_server_is_away_or_silent(cli: Cli) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        urls = (
            f"redis://127.0.0.1:{free_port()}",
            f"redis://127.0.0.1:{silent.getsockname()[1]}",
            "http://nonsense",
        )
        for n, url in enumerate(urls):
            words = "streamsched\ncordon\ng"
            outcome = cli.run(
                STREAMSCHED_URL=url, _STREAMSCHED_COMPLETE="complete_bash", COMP_WORDS=words, COMP_CWORD="2"
            )
            assert (outcome.code, outcome.out.strip(), outcome.err) == (0, "", ""), (n, outcome)
        outcome = cli.run(
            STREAMSCHED_URL=urls[0],
            _STREAMSCHED_COMPLETE="complete_bash",
            COMP_WORDS="streamsched\nconfigure\nmax_attempts",
            COMP_CWORD="2",
        )
        assert outcome.out.strip() == "max_attempts=3", "what needs no server is offered without one"


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_the_other_shells_are_offered_the_same(cli: Cli, shell: str) -> None:
    assert "_STREAMSCHED_COMPLETE=complete_" + shell in cli.run(_STREAMSCHED_COMPLETE=f"source_{shell}").out
    outcome = cli.run(
        _STREAMSCHED_COMPLETE=f"complete_{shell}",
        _TYPER_COMPLETE_ARGS="streamsched append node.cor",
        _TYPER_COMPLETE_FISH_ACTION="get-args",
    )
    assert "node.cordoned" in outcome.out


@pytest.mark.parametrize(
    ("words", "whole"),
    [
        (["cancel", "s1", ":", "47"], ["cancel", "s1:47"]),
        (["--pair", "=", "zh", ":", "en"], ["--pair=zh:en"]),
        (["append", "x", "node_id", "="], ["append", "x", "node_id="]),
        (["cancel", ""], ["cancel", ""]),
    ],
)
def test_what_bash_takes_apart_is_put_together(words: list[str], whole: list[str]) -> None:
    assert joined(words) == whole


@pytest.mark.parametrize("name", ["$(touch x)", "`id`", "a b", "*", 'a"b', "a\\", "a\nb", "中"])
def test_a_name_that_a_shell_would_read_as_more_than_a_name_is_not_offered(name: str) -> None:
    assert not PLAIN.fullmatch(name)
