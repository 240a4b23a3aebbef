"""What the documents say is run: README's blocks against a server started by its own first command."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from streamsched.embedded import free_port

from .dev_server import dev_server

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()
ARCHITECTURE = (ROOT / "ARCHITECTURE.md").read_text()
PROGRAM = [sys.executable, "-m", "streamsched"]


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """The server of README's `streamsched dev`, on a port of its own."""
    with dev_server(free_port()) as url:
        yield url


@pytest.fixture
def environment(url: str) -> dict[str, str]:
    return os.environ | {"STREAMSCHED_URL": url}


@pytest.mark.parametrize("block", blocks(README, "python"), ids=["four calls", "submit"])
def test_the_programs_of_the_readme_run_as_written(block: str, url: str) -> None:
    assert "redis://localhost:6379" in block
    program = block.replace("redis://localhost:6379", url)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_the_commands_of_the_readme_run_as_written(url: str, environment: dict[str, str], tmp_path: Path) -> None:
    commands = [line[2:] for block in blocks(README, "console") for line in block.splitlines() if line.startswith("$ ")]
    assert commands[0] == "streamsched dev"
    background: list[subprocess.Popen[bytes]] = []
    try:
        with Redis.from_url(url) as redis:
            for command in commands[1:]:
                words = shlex.split(command)
                if words[0] == "redis-cli":
                    redis.execute_command(*words[1:])
                elif words[1] == "node":
                    background.append(subprocess.Popen([*PROGRAM, *words[1:]], env=environment))
                else:
                    done = subprocess.run(
                        [*PROGRAM, *words[1:]],
                        env=environment,
                        cwd=tmp_path,
                        capture_output=True,
                        text=True,
                        timeout=60,
                    )
                    assert done.returncode == 0, f"{command}: {done.stderr}"
                    if words[1] == "submit":
                        assert '{"TEXT":"HELLO"}' in done.stdout
    finally:
        for process in background:
            process.terminate()
            process.wait(timeout=30)


def test_every_test_that_the_architecture_names_exists() -> None:
    sources = "\n".join(path.read_text() for path in (ROOT / "tests").glob("test_*.py"))
    named = set(re.findall(r"`(test_\w+)`", ARCHITECTURE))
    assert len(named) >= 11
    assert {name for name in named if f"def {name}(" not in sources} == set()


def test_the_architecture_names_a_guard_for_each_invariant() -> None:
    rows = re.findall(r"^\| (\d+) \|.*`test_", ARCHITECTURE, re.MULTILINE)
    assert rows == [str(n) for n in range(1, 12)]


def test_every_file_that_the_documents_name_exists() -> None:
    for text in (README, ARCHITECTURE, (ROOT / "CONTRIBUTING.md").read_text()):
        for name in re.findall(r"`((?:lua|streamsched|reference|tests|benchmarks)/[\w/.]+\.\w+)`", text):
            assert (ROOT / name).exists(), name
