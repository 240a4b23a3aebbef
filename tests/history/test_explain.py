"""Why a job is where it is: the choice of its node, or what speaks against each that could take it."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from ..support.ledger import Ledger
from ..support.processes import Cli

pytestmark = pytest.mark.anyio


def explained(cli: Cli, job_id: str = "j1", *more: str) -> dict[str, Any]:
    shown = cli.run("explain", "job", job_id, "--json", *more)
    assert shown.code == 0, shown.err
    found: dict[str, Any] = json.loads(shown.out)
    return found


async def offline(log: Ledger) -> None:
    await log.append(["type", "node.offline", "node_id", "n1", "reason", "power cut"])


async def cordoned(log: Ledger) -> None:
    await log.append(["type", "node.cordoned", "node_id", "n1", "reason", "hot"])


async def not_accepting(log: Ledger) -> None:
    await log.append(["type", "node.heartbeat", "node_id", "n1", "online", "true", "accepting", "false"])
    await log.advance()


async def full(log: Ledger) -> None:
    await log.submit("j0", "s0")
    await log.tell("declined", "j0", reason="full")


async def window(log: Ledger) -> None:
    for n in range(8):
        await log.submit(f"w{n}", f"w{n}")


AGAINST: dict[str, tuple[Callable[[Ledger], Awaitable[None]], str]] = {
    "offline": (offline, "offline: power cut"),
    "cordoned": (cordoned, "cordoned: hot"),
    "not accepting": (not_accepting, "not accepting since"),
    "full": (full, "full: it holds 0 jobs"),
    "window": (window, "8 assignments are unread"),
}


@pytest.mark.parametrize("reason", AGAINST)
async def test_a_waiting_job_names_the_obstacle_of_each_member(reason: str, log: Ledger, cli: Cli) -> None:
    await log.node("n1")
    happen, words = AGAINST[reason]
    await happen(log)
    assert (await log.submit("j1"))["status"] == "created"
    found = explained(cli)
    assert found["status"] == "waiting"
    (member,) = found["pools"][0]["members"]
    assert words in "; ".join(member["against"])
    assert words in cli.run("explain", "job", "j1").out


async def test_a_node_tried_before_is_said_to_be_the_last_resort(log: Ledger, cli: Cli) -> None:
    await log.node("n1")
    await log.submit("j1")
    await log.tell("declined", "j1", reason="no model")
    await log.append(["type", "node.cordoned", "node_id", "n1"])
    await log.freeze()
    found = explained(cli)
    if found["status"] == "waiting":
        assert "tried before" in "; ".join(found["pools"][0]["members"][0]["against"])
    assert found["attempts"][0]["end"].endswith("no model")


@pytest.mark.parametrize(
    ("prepare", "words"),
    [((), "no pool serves zh → en"), (("gone",), "have no member")],
    ids=["no pool", "no member"],
)
async def test_a_pair_without_pools_or_members_says_so(
    prepare: tuple[str, ...], words: str, log: Ledger, cli: Cli
) -> None:
    if prepare:
        await log.node("n1")
        await log.append(["type", "node.registered", "node_id", "n1", "cap_json", "{}", "pool_names_json", "[]"])
    await log.submit("j1")
    assert words in explained(cli)["summary"]


async def test_a_job_whose_time_has_not_come_says_until_when(log: Ledger, cli: Cli) -> None:
    await log.node("n1")
    await log.submit("j1", not_before_ts=await log.now() + 3_600_000)
    assert "it waits until" in explained(cli)["summary"]


async def test_each_attempt_says_why_that_node_and_how_it_ended(log: Ledger, cli: Cli) -> None:
    await log.node("n1")
    await log.submit("j0")
    await log.submit("j1")
    await offline(log)
    await log.node("n2")
    found = explained(cli)
    assert [attempt["node_id"] for attempt in found["attempts"]] == ["n1", "n2"]
    assert found["attempts"][0]["why"] == "the session's node"
    assert "node lost" in found["attempts"][0]["end"]
    assert found["attempts"][1]["why"]
    assert found["summary"].startswith("dispatched on node n2")


async def test_a_refused_job_and_an_unknown_job(log: Ledger, cli: Cli) -> None:
    await log.submit("j1", immediate=True)
    assert "NO_POOL_FOR_LANG_PAIR" in explained(cli)["summary"]
    unknown = cli.run("explain", "job", "nobody")
    assert (unknown.code, "OUTSIDE_LOG" in unknown.err) == (1, True)


async def test_an_archive_alone_explains_as_well(log: Ledger, cli: Cli) -> None:
    await log.node("n1")
    await log.submit("j1")
    assert cli.run("archive", "--to", "kept", "--once").code == 0
    assert explained(cli, "j1", "--archive", "kept", "--offline")["summary"].startswith("dispatched on node n1")
