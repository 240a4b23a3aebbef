"""The exit codes: one list of them, in the documents as in the program, and each is met."""

from __future__ import annotations

import ast
import re
import signal
from pathlib import Path

import pytest

import streamsched
from streamsched.console.terminal import Exit

from ..support.processes import Cli, eventually

OPERATIONS = (Path(__file__).resolve().parents[2] / "docs" / "operations.md").read_text()
ENDING = {"sys.exit", "exit", "os._exit", "SystemExit", "typer.Exit"}
ENDS = {"terminal.py": {"sys.exit"}, "cli.py": {"typer.Exit"}}
"""Where a command is ended: in one place, and where it only tells its version."""


def test_the_documents_list_the_codes_that_the_program_has() -> None:
    rows = re.findall(r"^\| (\d+) \| ([^|]*) \|", OPERATIONS, re.MULTILINE)
    assert {int(code): meaning for code, meaning in rows} == {code.value: code.meaning for code in Exit}


def test_the_help_lists_them_too(cli: Cli) -> None:
    outcome = " ".join(cli.run("--help").out.split())
    for code in Exit:
        assert f"{code:d} {code.meaning}" in outcome


def test_every_command_ends_in_the_one_place_that_knows_no_other_code() -> None:
    package = Path(streamsched.__file__).parent
    for path in [*package.glob("*.py"), *(package / "top").glob("*.py")]:
        tree = ast.parse(path.read_text())
        called = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
        assert called & ENDING == ENDS.get(path.name, set()), path.name


def test_a_code_that_is_none_of_them_is_a_bug() -> None:
    with pytest.raises(ValueError, match="4 is not a valid Exit"):
        Exit(4)


ENDED: dict[Exit, tuple[str, ...]] = {
    Exit.OK: ("status",),
    Exit.REFUSED: ("cancel", "never"),
    Exit.USAGE: ("status", "--nonsense"),
    Exit.UNREACHABLE: ("status", "--url", "redis://127.0.0.1:1", "--patience", "0"),
}


@pytest.mark.parametrize("code", ENDED)
def test_each_code_is_met(cli: Cli, code: Exit) -> None:
    assert cli.run(*ENDED[code]).code == code


def test_ctrl_c_is_the_last_of_them(cli: Cli) -> None:
    cli.run("append", "session.released", "session_id=s1")
    following = cli.start("tail")
    eventually(lambda: "session.released" in cli.output(following))
    assert cli.stop(following, signal.SIGINT) == Exit.INTERRUPTED
    assert {*ENDED, Exit.INTERRUPTED} == set(Exit)
