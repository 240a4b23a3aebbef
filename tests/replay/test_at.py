"""The state at any moment of the history, and what changed between two of them."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.exceptions import NoPermissionError

from ..support.ledger import Ledger
from ..support.processes import Cli, eventually

pytestmark = pytest.mark.anyio


async def watermark(log: Ledger) -> str:
    return (await log.hash("meta"))["watermark"]


async def test_a_moment_is_shown_as_it_was_and_not_as_it_became(log: Ledger, cli: Cli) -> None:
    await log.node()
    await log.submit("j1")
    then = await watermark(log)
    await log.tell("completed", "j1", status="finished")
    await log.append(["type", "node.offline", "node_id", "n1"])
    past = json.loads(cli.run("at", then, "--json").out)
    assert (past["at"], past["counters"]["held"], past["counters"]["finished"]) == (then, 1, 0)
    assert past["nodes"][0]["online"] is True
    now = json.loads(cli.run("at", await watermark(log), "--json").out)
    assert (now["counters"]["held"], now["counters"]["finished"]) == (0, 1)
    assert "held 1" in cli.run("at", then).out


async def test_a_time_stands_for_the_last_event_at_or_before_it(log: Ledger, cli: Cli) -> None:
    await log.node()
    last = await watermark(log)
    assert json.loads(cli.run("at", last.split("-")[0], "--json").out)["at"] == last


@pytest.mark.parametrize("moment", ["1", "99999999999999", "1999-01-01T00:00:00Z", "yesterday", "12-x"])
async def test_a_moment_outside_the_log_is_refused_with_the_range_it_has(moment: str, log: Ledger, cli: Cli) -> None:
    await log.node()
    refused = cli.run("at", moment)
    assert refused.code == 1
    assert "OUTSIDE_LOG" in refused.err
    assert ("give 1700000000000-0" if moment in ("yesterday", "12-x") else await watermark(log)) in refused.err


async def test_an_archive_alone_shows_the_past_without_any_server(log: Ledger, cli: Cli) -> None:
    await log.node()
    await log.submit("j1")
    assert cli.run("archive", "--to", "kept", "--once").code == 0
    shown = cli.run("at", await watermark(log), "--archive", "kept", "--offline", "--json",
                    STREAMSCHED_URL="redis://127.0.0.1:1")  # fmt: skip
    assert json.loads(shown.out)["counters"]["held"] == 1
    alone = cli.run("at", "1", "--offline")
    assert (alone.code, "--archive DIR" in alone.err) == (2, True)


async def test_a_trimmed_log_names_the_archive_that_holds_the_rest(log: Ledger, cli: Cli) -> None:
    await log.node()
    for n in range(3):
        await log.submit(f"j{n}")
        await log.tell("completed", f"j{n}", status="finished")
    assert cli.run("archive", "--to", "kept", "--once", "--trim", "--yes").code == 0
    await log.submit("j9")
    refused = cli.run("at", await watermark(log))
    assert refused.code == 1
    assert str(cli.folder / "kept") in refused.err
    assert cli.run("at", await watermark(log), "--archive", "kept").code == 0


async def test_a_served_moment_can_be_read_and_not_written(log: Ledger, cli: Cli) -> None:
    await log.node()
    await log.submit("j1")
    process = cli.start("at", await watermark(log), "--serve")
    found = eventually(lambda: re.search(r"-p (\d+) ", cli.output(process)))
    past: Any
    async with Redis(port=int(found[1]), decode_responses=True) as past:
        assert await past.hget(cli.keys.job("j1"), "status") == "dispatched"
        for command in (("SET", "x", "1"), ("FLUSHALL",), ("CONFIG", "SET", "save", ""), ("SHUTDOWN",)):
            with pytest.raises(NoPermissionError):
                await past.execute_command(*command)
    assert cli.stop(process) == 0


async def test_a_diff_names_what_was_added_removed_and_changed(log: Ledger, cli: Cli) -> None:
    await log.node()
    await log.submit("j1")
    one = await watermark(log)
    await log.tell("completed", "j1", status="finished")
    await log.submit("j2")
    found = json.loads(cli.run("diff", one, await watermark(log), "--json").out)
    by_key = {change["key"]: change for change in found["changes"]}
    assert by_key["job:j1"]["before"]["status"] == "dispatched"
    assert by_key["job:j1"]["after"]["status"] == "finished"
    assert by_key["job:j2"]["kind"] == "added"
    assert (by_key["node:jobs:n1"]["before"], by_key["node:jobs:n1"]["after"]) == (["j1"], ["j2"])
    assert "session:s1" in by_key
    assert "pools" not in by_key
    assert "job:j2" in cli.run("diff", one, await watermark(log)).out
