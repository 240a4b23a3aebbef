"""What is not as it should be and stops nothing yet has a line in the status, a gauge and a remedy."""

from __future__ import annotations

import json

import pytest

from streamsched.server.embedded import EmbeddedServer
from streamsched.state.jobs import LONG_MS

from ..support.ledger import Ledger
from ..support.processes import Cli
from ..support.scraping import exported

pytestmark = pytest.mark.anyio


def shown(cli: Cli) -> str:
    return " ".join(cli.run("status").out.split())


async def test_a_job_that_keeps_the_log_is_named_by_archiver_status_and_gauge_until_it_ends(
    cli: Cli, log: Ledger, servers: dict[str, EmbeddedServer]
) -> None:
    now = await log.now()
    said = "type=job.submitted job_id=old session_id=s src_lang=xx tgt_lang=yy payload_json=1"
    early = dict(part.split("=") for part in said.split())
    await log.redis.xadd(log.keys("events"), early, id=f"{now - 5 * LONG_MS}-0")
    await log.node()
    await log.submit("new")
    once = "archive", "--to", "kept", "--once", "--trim", "--yes"
    assert "because job old has not ended" in cli.run(*once).out
    assert json.loads(cli.run(*once, "--json").out)["stopped_at"] == "old"
    assert "the log is kept for 5 h: job old (xx to yy) is created since then." in shown(cli)
    async with exported(servers["valkey"], log.keys) as scraped:
        await scraped.until(lambda now: (now.get("log_pinned_seconds") or 0) > 4 * LONG_MS / 1000)
        carried = json.loads(cli.run("carry", "old", "--json").out)
        assert carried["job_id"] == "old"
        assert "the log is kept" not in shown(cli)
        assert cli.run("cancel", "new").code == 0
        assert json.loads(cli.run(*once, "--json").out)["stopped_at"] == "old"
        assert (await log.redis.xrange(log.keys("events"), count=1))[0][0] == carried["id"]
        assert "carried here from" in cli.run("trace", "job", "old").out
        assert cli.run("verify", "--archive", "kept").code == 0
        assert cli.run("carry", "nothing").code == 1
        assert cli.run("cancel", "old").code == 0
        await scraped.until(lambda now: now.get("log_pinned_seconds") == 0)


async def test_a_clock_that_was_set_back_is_named_by_status_and_gauge(
    cli: Cli, log: Ledger, servers: dict[str, EmbeddedServer]
) -> None:
    await log.node()
    assert "ahead of the server's clock" not in shown(cli)
    ahead = f"{await log.now() + 2 * LONG_MS}-0"
    await log.redis.xadd(log.keys("events"), {"type": "session.released", "session_id": "s"}, id=ahead)
    await log.advance()
    assert "the scheduler's time is 120 min ahead of the server's clock, which was set back" in shown(cli)
    async with exported(servers["valkey"], log.keys) as scraped:
        await scraped.until(lambda now: (now.get("clock_ahead_seconds") or 0) > 7000)
