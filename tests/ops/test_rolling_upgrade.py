"""An upgrade of the folds with real processes: new beside old, who is too old, and when the log is raised."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from streamsched.contract.keys import Keys
from streamsched.engine.members import SILENT_MS, Member, drop_silent, read_members, upgrade_words
from streamsched.server.embedded import EmbeddedServer

from ..support.ledger import Ledger
from ..support.processes import SUBMIT, Cli, eventually
from ..support.scraping import exported

pytestmark = pytest.mark.anyio

NEWER = """
import sys
from streamsched.contract import config
config.FOLD_VERSION = 2
from streamsched.cli.app import app
app()
"""


def newer(cli: Cli, *arguments: str) -> subprocess.Popen[str]:
    """Run a command of a program that can fold version 2."""
    return subprocess.Popen(
        [sys.executable, "-c", NEWER, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=cli.folder,
        env=cli.environment,
        text=True,
    )


def said(process: subprocess.Popen[str]) -> str:
    return process.communicate(timeout=60)[0]


def status(cli: Cli) -> dict[str, Any]:
    shown: dict[str, Any] = json.loads(cli.run("status", "--json").out)["partition"]
    return shown


def test_a_fleet_is_upgraded_process_by_process_and_members_too_old_are_named(cli: Cli) -> None:
    old = cli.start("worker")
    new = newer(cli, "worker")
    try:
        (name,) = eventually(lambda: status(cli)["members_too_old"])
        assert f":{old.pid}:" in name
        assert f"these are too old for version 2: {name}." in " ".join(cli.run("status").out.split())
        assert cli.run(*SUBMIT, "1").code == 0
        refused = newer(cli, "upgrade", "--yes")
        assert f"{name} is too old for version 2" in said(refused)
        assert refused.returncode == 1
        assert cli.stop(old) == 0
        eventually(lambda: status(cli)["members_too_old"] == [])
        assert "`streamsched upgrade` raises it" in " ".join(cli.run("status").out.split())
        assert status(cli)["fold_version"] == 1
        assert said(newer(cli, "upgrade", "--yes")) == "fold_version: 1 → 2\n"
        assert status(cli)["fold_version"] == 2
        assert "no change" in said(newer(cli, "upgrade"))
        assert "NEWER_LOG" in cli.run(*SUBMIT, "1").err
    finally:
        new.terminate()
        new.wait()


def test_an_upgrade_by_force_stops_the_members_that_are_too_old(cli: Cli, keys: Keys) -> None:
    old = cli.start("worker")
    eventually(lambda: cli.redis.hgetall(keys("members")))
    assert said(newer(cli, "upgrade", "--yes", "--force")) == "fold_version: 1 → 2\n"
    eventually(lambda: "NEWER_LOG" in cli.output(old))


async def test_members_too_old_are_counted_by_a_gauge(log: Ledger, servers: dict[str, EmbeddedServer]) -> None:
    await log.node()
    async with exported(servers["valkey"], log.keys) as scraped:
        await scraped.until(lambda now: now.get("members_too_old") == 0)
        await log.redis.hset(log.keys("members"), "node n1", f"0 {await log.now()}")
        await scraped.until(lambda now: now.get("members_too_old") == 1)


async def test_a_member_that_is_silent_is_not_counted_and_goes(ledger: Ledger) -> None:
    await ledger.node()
    now = await ledger.now()
    rows = {"node n1": f"1 {now}", "node n2": f"1 {now - SILENT_MS}", "node n3": "garbage"}
    await ledger.redis.hset(ledger.keys("members"), mapping=rows)
    assert [one.name for one in await read_members(ledger.redis, ledger.keys, now)] == ["node n1"]
    assert await drop_silent(ledger.redis, ledger.keys, now) == 1
    assert set(await ledger.redis.hkeys(ledger.keys("members"))) == {"node n1", "node n3"}


@pytest.mark.parametrize(
    ("versions", "in_force", "words"),
    [
        ([1, 1], 1, ""),
        ([], 1, ""),
        ([2, 1], 1, "too old for version 2: n1"),
        ([2, 2], 1, "all can fold version 2"),
        ([2, 2], 2, ""),
        ([2] + [1] * 12, 1, "n9, n10 and 2 more"),
    ],
)
def test_the_warning_says_what_an_upgrade_waits_for(versions: list[int], in_force: int, words: str) -> None:
    members = [Member(name=f"n{n}", fold_version=version, said_ts=0) for n, version in enumerate(versions)]
    text = upgrade_words(in_force, members)
    assert words in text
    assert bool(text) == bool(words)
