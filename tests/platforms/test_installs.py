"""The package in environments of their own: the lowest version of everything, and each Python that is here."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from ..support.processes import SUBMIT, Cli, eventually

ROOT = Path(__file__).resolve().parents[2]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
OURS = f"{sys.version_info.major}.{sys.version_info.minor}"
SUPPORTED = [name.rpartition(" ")[2] for name in PROJECT["classifiers"] if "Python :: 3." in name]
NEXT = "3.14"
"""Not claimed until a gate has it."""

COMMANDS = (
    "status",
    "status --json",
    "tail --no-follow",
    "trace session s1",
    "archive --once --to kept",
    "snapshot --to kept",
    "verify --archive kept",
    "at now --archive kept",
    "query select/**/count(*)/**/from/**/events",
    "dead list",
    "configure --yes max_attempts=4",
    "acl producer",
    "pause --pair en:zh",
    "resume --pair en:zh",
    "cordon n1",
    "drain n1",
    "top --help",
)


def uv(*arguments: str) -> None:
    """Run uv."""
    done = subprocess.run([sys.executable, "-m", "uv", *arguments], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


def interpreter(version: str) -> str:
    """Find a Python of this version, or skip the test: pyenv keeps its versions where only a chosen one is on PATH."""
    if version == OURS:
        return sys.executable
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    for candidate in (*pyenv.glob(f"versions/{version}.*/bin/python"), f"python{version}"):
        found = shutil.which(str(candidate))
        if found and subprocess.run([found, "--version"], capture_output=True).returncode == 0:
            return found
    pytest.skip(f"this machine has no Python {version}")


def install(folder: Path, python: str, resolution: str) -> str:
    """Install the package with all extras into an environment; return its interpreter."""
    uv("venv", "--quiet", "--python", interpreter(python), str(folder))
    inside = str(folder / "bin" / "python")
    everything = f"{ROOT}[{','.join(PROJECT['optional-dependencies'])}]"
    uv("pip", "install", "--quiet", "--python", inside, "--resolution", resolution, everything)
    return inside


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("python", "resolution"), [(OURS, "lowest"), *((version, "highest") for version in [*SUPPORTED, NEXT])]
)
def test_every_kind_of_command_runs(cli: Cli, tmp_path: Path, python: str, resolution: str) -> None:
    cli.python = install(tmp_path / "environment", python, resolution)
    worker = cli.start("worker")
    node = cli.start("node", "n1", "--pools", "en-zh", "--exec", "tr a-z A-Z")
    page, metrics = cli.start("dashboard", "--bind", "127.0.0.1:0"), cli.start("metrics", "--bind", "127.0.0.1:0")
    done = cli.run(*SUBMIT, "--timeout", "30", "hello")
    assert (done.code, done.out, done.err) == (0, "HELLO\n", "")
    for command in COMMANDS:
        shown = cli.run(*command.split())
        assert (shown.code, "Traceback" in shown.err) == (0, False), (command, shown)
    eventually(lambda: "http://" in cli.output(page) and "http://" in cli.output(metrics))
    for process in (page, metrics, node, worker):
        assert cli.stop(process) == 0, cli.output(process)


def test_the_gates_python_is_supported() -> None:
    assert OURS in SUPPORTED
    assert SUPPORTED[0] == PROJECT["requires-python"].removeprefix(">=")
