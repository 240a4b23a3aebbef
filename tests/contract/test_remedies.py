"""What the command line says when something cannot be done: the cause, and a next step that there is."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import NamedTuple

import pytest
from redis import Redis

import streamsched
from streamsched.console.remedies import REMEDIES
from streamsched.console.terminal import UsageProblem, needs
from streamsched.contract.errors import ERRORS
from streamsched.server.embedded import EmbeddedServer

from ..cli.test_examples import COMMANDS
from ..support.processes import SUBMIT, Cli

PACKAGE = Path(streamsched.__file__).parent
ROOT = Path(__file__).resolve().parents[2]
SOURCES = [
    *PACKAGE.rglob("*.py"),
    *(ROOT / "lua").rglob("*.lua"),
    ROOT / "README.md",
    *(ROOT / "docs").glob("*.md"),
]


class Case(NamedTuple):
    """A command that fails, with the words of cause and remedy."""

    arguments: tuple[str, ...]
    code: int
    cause: str
    remedy: str


NO_SERVER = ("--url", "redis://127.0.0.1:1", "--patience", "0.1")
EMPTY = "no event of {prefix}"
ELSEWHERE = "give its --namespace, --partition or --url"

TABLE = [
    # the server
    Case(("status", *NO_SERVER), 3, "no answer from 127.0.0.1", "start one with `streamsched dev`"),
    Case(("status", "--url", "http://localhost"), 2, "--url", "give redis://HOST:PORT"),
    Case(("status", "--namespace", "a b"), 2, "--namespace", "give a name without"),
    Case(("status", "--partition", "-1"), 2, "--partition", "give a whole number from 0"),
    Case(("status", "--config", "none.toml"), 2, "no file none.toml", "leave --config out"),
    # an empty log, or the one of another namespace
    Case(("trace", "job", "j9"), 1, EMPTY, ELSEWHERE),
    Case(("explain", "job", "j9"), 1, EMPTY, ELSEWHERE),
    Case(("at", "2026-01-31"), 1, EMPTY, ELSEWHERE),
    Case(("diff", "1", "2"), 1, EMPTY, ELSEWHERE),
    Case(("at", "soon"), 1, "'soon' is neither an id nor a time", "give 1700000000000-0"),
    # what there is not
    Case(("cancel", "j9"), 1, "UNKNOWN_JOB", "`streamsched trace job ID`"),
    Case(("cordon", "n9"), 1, "UNKNOWN_NODE", "`streamsched status` lists the nodes"),
    Case(("drain", "n9"), 1, "UNKNOWN_NODE", "`streamsched status` lists the nodes"),
    Case(("pause", "--pool", "p9"), 1, "UNKNOWN_POOL", "`streamsched status`"),
    Case(("append", "source.revoked", "source=s9"), 1, "UNKNOWN_SOURCE", "`streamsched status`"),
    Case(("append", "node.exploded"), 1, "UNKNOWN_TYPE", "docs/events.md"),
    Case(("append", "node.cordoned"), 1, "node_id is missing", "add it"),
    Case(("append", "node.cordoned", "n1"), 2, "'n1' is not field=value", "node_id=n1"),
    Case(("dead", "show", "1-1"), 1, "UNKNOWN_LETTER", "`streamsched dead list`"),
    Case(("dead", "retry"), 2, "ids of letters", "--all"),
    Case(("configure", "speed=1"), 2, "'speed' is not a configuration key", "give one of heartbeat_timeout_ms"),
    Case(("query", "SELECT * FROM jobz"), 2, "jobz", "the views are events, jobs"),
    Case((*SUBMIT, "--timeout", "0.1", "x"), 1, "RESULT_TIMEOUT", "`streamsched trace job ID` shows where it is"),
    # archives
    Case(("at", "1", "--archive", "none"), 1, "none/manifest.json is missing", "`streamsched archive --to DIR`"),
    Case(("rebuild", "--from", "none", "--yes"), 1, "is missing", "`streamsched archive --to DIR`"),
    Case(("archive", "--to", "none", "--check"), 1, "is missing", "`streamsched archive --to DIR`"),
    Case(("snapshot", "--to", "none"), 1, "is missing", "`streamsched archive --to DIR`"),
    Case(("trace", "job", "j9", "--offline"), 2, "--offline", "needs --archive DIR"),
    # programs and places
    Case(("node", "n1", "--exec", "cat"), 2, "no pools", "give --pools en-zh"),
    Case(("node", "n1", "--pools", "en-zh", "--exec", "nonesuch"), 2, "no program 'nonesuch'", "give its path"),
    Case(("worker", "--health", "x"), 2, "--health x", "give HOST:PORT"),
    Case(("top",), 2, "needs a terminal", "`streamsched status`"),
    Case(("schedule",), 2, "No such command 'schedule'", "Try 'streamsched -h'"),
]


@pytest.mark.parametrize("case", TABLE, ids=lambda case: " ".join(case.arguments))
def test_a_failure_names_its_cause_and_what_to_do(cli: Cli, case: Case) -> None:
    replied = cli.run(*case.arguments)
    assert replied.code == case.code, replied
    assert case.cause.format(prefix=cli.keys.prefix[:-1]) in replied.err
    assert case.remedy in replied.err
    assert "Traceback" not in replied.err


def test_a_server_that_wants_a_password_is_not_said_to_be_away(cli: Cli, tmp_path: Path) -> None:
    with EmbeddedServer(tmp_path / "server") as server:
        with Redis.from_url(server.url) as redis:
            redis.config_set("requirepass", "right")
        for environment, cause in (({}, "it wants a password"), ({"STREAMSCHED_PASSWORD": "wrong"}, "check the user")):
            replied = cli.run("status", "--url", server.url, **environment)
            assert replied.code == 3
            assert cause in replied.err
            assert "give it in STREAMSCHED_PASSWORD or --password-file" in replied.err
            assert "start one" not in replied.err, "it runs"


def test_what_a_user_may_not_do_leads_to_the_rights_that_it_needs(cli: Cli, tmp_path: Path) -> None:
    with EmbeddedServer(tmp_path / "server") as server:
        with Redis.from_url(server.url) as redis:
            redis.execute_command("ACL", "SETUSER", "low", "on", "nopass", "+@connection", "~*")
        replied = cli.run("cordon", "n1", "--url", server.url.replace("redis://", "redis://low@"))
        assert (replied.code, "NOT_PERMITTED" in replied.err, "`streamsched acl ROLE`" in replied.err) == (
            1,
            True,
            True,
        )


def test_what_is_not_installed_is_named_with_the_extra_that_brings_it() -> None:
    with pytest.raises(UsageProblem, match=r"this needs Nothing: pip install 'streamsched\[top\]'"):
        needs("Nothing", "top", "no_such_module")


def advised() -> set[str]:
    """Every command line that stands between backticks in a text of the program."""
    return {line for path in SOURCES for line in re.findall(r"`(streamsched [a-z][^`]*)`", path.read_text())}


def test_every_command_that_is_advised_exists_with_its_options() -> None:
    found = advised()
    assert len(found) > 20
    for line in found:
        words = shlex.split(re.sub(r"' \.\. .*? \.\. '|\{.*?\}", "X", line))
        path = next((" ".join(words[:n]) for n in (3, 2) if " ".join(words[:n]) in COMMANDS), None)
        if words == ["streamsched", "dead"]:  # named as a group, in a docstring
            continue
        assert path, f"{line}: there is no such command"
        known = {name for option in COMMANDS[path].params for name in option.opts}
        assert {word for word in words if word.startswith("--")} <= known, line


def test_remedies_are_of_codes_that_there_are() -> None:
    assert set(REMEDIES) <= set(ERRORS)
