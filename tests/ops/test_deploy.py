"""Every file in ``deploy/`` parses, lints clean, and says nothing that the programs do not take."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml
from compose_spec import PyCompose

from streamsched.cli.app import app

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
PROGRAM = "/opt/streamsched/bin/streamsched"


def compose() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    return document


def commands() -> Iterator[tuple[str, list[str]]]:
    """Yield where a command of ``streamsched`` is stated, and its words."""
    for unit in UNITS:
        words = shlex.split(re.findall(r"^ExecStart=(.*)$", unit.read_text(), re.MULTILINE)[0])
        assert words[0] == PROGRAM
        yield unit.name, words[1:]
    for name, service in compose()["services"].items():
        if service["image"] == "streamsched":
            yield name, service["command"]
    yield "Dockerfile", yaml.safe_load(re.findall(r"^CMD (.*)$", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE)[0])


@pytest.mark.parametrize(("where", "words"), [*commands()], ids=lambda value: value if isinstance(value, str) else "")
def test_a_command_in_deploy_is_one_that_streamsched_takes(where: str, words: list[str], tmp_path: Path) -> None:
    (tmp_path / "streamsched.toml").write_text("")
    words = [word.replace("/etc/streamsched", str(tmp_path)) for word in words]
    root: Any = typer.main.get_command(app)
    root.get_command(typer.Context(root), words[0]).make_context(words[0], words[1:])


def test_the_compose_file_is_one() -> None:
    resolved = yaml.safe_dump(compose())  # its anchors are YAML's matter, not the specification's
    assert "server" in PyCompose.from_yaml(resolved).service_names()


def test_hadolint_has_nothing_to_say_against_the_dockerfile() -> None:
    hadolint = Path(sys.executable).parent / "hadolint"
    done = subprocess.run([hadolint, DEPLOY / "Dockerfile"], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_systemd_has_nothing_to_say_against_a_unit(unit: Path, tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed: the gate's machine has it and runs this test there")
    copy = tmp_path / unit.name.replace("@", "@1")
    copy.write_text(unit.read_text().replace(PROGRAM, sys.executable))
    done = subprocess.run(["systemd-analyze", "verify", copy], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
