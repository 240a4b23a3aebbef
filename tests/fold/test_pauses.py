"""A paused pool gets no new jobs, a paused pair's jobs wait; what is held goes on; resuming dispatches what waits."""

from __future__ import annotations

import json
from typing import Any

import pytest

from streamsched.client.requests import DispatchRequest
from streamsched.client.scheduler import Scheduler
from streamsched.contract.errors import NoAvailableNode, Paused
from streamsched.server.embedded import EmbeddedServer

from ..support.ledger import Ledger
from ..support.processes import Cli

pytestmark = pytest.mark.anyio


async def pause(log: Ledger, pool: str = "en-zh", **more: str) -> None:
    await say(log, "pool.paused", pool_id=pool, **more)


async def resume(log: Ledger, pool: str = "en-zh") -> None:
    await say(log, "pool.resumed", pool_id=pool)


async def say(log: Ledger, kind: str, **fields: str) -> None:
    flat = ["type", kind, *(part for pair in fields.items() for part in pair)]
    assert (await log.answer(flat))[0] == "", flat


async def status(log: Ledger, job_id: str = "j1") -> str:
    return (await log.job(job_id))["status"]


async def test_jobs_for_a_paused_pool_wait_until_it_is_resumed(ledger: Ledger) -> None:
    await ledger.node()
    await pause(ledger, reason="new model")
    await ledger.submit("j1")
    await ledger.submit("j2")
    assert [await status(ledger, job) for job in ("j1", "j2")] == ["created", "created"]
    await resume(ledger)
    assert await ledger.held() == {"j1", "j2"}


async def test_jobs_that_are_held_go_on_while_their_pool_and_their_pair_are_paused(ledger: Ledger) -> None:
    await ledger.node()
    await ledger.submit("j1")
    await pause(ledger)
    await say(ledger, "pair.paused", src_lang="zh", tgt_lang="en")
    assert (await ledger.tell("started"))[0] == ""
    assert (await ledger.tell("completed", status="finished"))[0] == ""
    assert await status(ledger) == "finished"


async def test_a_node_of_a_paused_pool_serves_its_other_pools(ledger: Ledger) -> None:
    await ledger.node("n1", "en-zh", "de-en-zh")
    await pause(ledger)
    await ledger.submit("j1")
    assert (await ledger.job())["pool_id"] == "de-en-zh"


async def test_a_pair_is_paused_in_one_direction_for_all_its_pools(ledger: Ledger) -> None:
    await ledger.node("n1", "en-zh", "de-en-zh")
    await say(ledger, "pair.paused", src_lang="zh", tgt_lang="en", reason="bad model")
    await ledger.submit("j1")
    await ledger.submit("j2", src="en", tgt="zh")
    assert (await status(ledger, "j1"), await status(ledger, "j2")) == ("created", "dispatched")
    await ledger.node("n2", "fr-en-zh")  # a pool that comes while the pair is paused does not open it
    assert await status(ledger) == "created"
    await say(ledger, "pair.resumed", src_lang="zh", tgt_lang="en")
    assert await status(ledger) == "dispatched"


async def test_a_job_that_comes_back_waits_while_its_pair_is_paused(ledger: Ledger) -> None:
    await ledger.node("n1")
    await ledger.node("n2")
    await ledger.submit("j1")
    await say(ledger, "pair.paused", src_lang="zh", tgt_lang="en")
    await say(ledger, "node.offline", node_id=(await ledger.job())["node_id"])
    assert await status(ledger) == "created"
    await say(ledger, "pair.resumed", src_lang="zh", tgt_lang="en")
    assert await status(ledger) == "dispatched"


async def test_a_job_that_cannot_wait_is_refused_as_paused_with_a_remedy(
    ledger: Ledger, server: EmbeddedServer
) -> None:
    await ledger.node("n1", "en-zh")
    await ledger.node("n2", "de-en")
    asked = DispatchRequest(session_id="s", src_lang="zh", tgt_lang="en", payload_json="{}")
    async with Scheduler.connect(server.url, ledger.keys.namespace) as scheduler:
        await pause(ledger)
        with pytest.raises(Paused, match="streamsched resume --pool en-zh"):
            await scheduler.dispatch_task(asked)
        await resume(ledger)
        await say(ledger, "pair.paused", src_lang="zh", tgt_lang="en")
        with pytest.raises(Paused, match="streamsched resume --pair zh:en"):
            await scheduler.dispatch_task(asked)
        await say(ledger, "pair.resumed", src_lang="zh", tgt_lang="en")
        assert (await scheduler.dispatch_task(asked)).node_id == "n1"
        # one pool is paused, another one has only nodes that may not: what is missing is a node
        await ledger.node("n3", "fr-en-zh")
        await say(ledger, "node.cordoned", node_id="n3")
        await pause(ledger)
        with pytest.raises(NoAvailableNode):
            await scheduler.dispatch_task(asked)


async def test_a_session_leaves_the_node_of_a_paused_pool_and_the_fact_says_why(ledger: Ledger) -> None:
    await ledger.node("n1", "en-zh")
    await ledger.submit("j1")
    await ledger.node("n2", "de-en-zh")
    await pause(ledger)
    await ledger.submit("j2")
    last = await ledger.last("job.dispatched")
    assert (last["node_id"], last["affinity"]) == ("n2", "broken: pool paused")


async def test_a_pool_without_a_registration_cannot_be_paused(ledger: Ledger) -> None:
    for kind in ("pool.paused", "pool.resumed"):
        code, detail = (await ledger.answer(["type", kind, "pool_id", "en-zh"]))[:2]
        assert (code, "streamsched status" in detail) == ("UNKNOWN_POOL", True)


async def test_a_pause_outlives_that_its_pool_changes_its_languages(ledger: Ledger) -> None:
    await ledger.append(["type", "node.registered", "node_id", "n1", "cap_json", "{}", "pool_names_json",
                         '[{"id":1,"name":"en-zh"}]'])  # fmt: skip
    await pause(ledger, "1")
    await ledger.append(["type", "node.registered", "node_id", "n1", "cap_json", "{}", "pool_names_json",
                         '[{"id":1,"name":"de-en"}]'])  # fmt: skip
    await say(ledger, "node.heartbeat", node_id="n1", online="true")
    await ledger.submit("j1", src="de", tgt="en")
    assert await status(ledger) == "created"
    await resume(ledger, "1")
    assert await status(ledger) == "dispatched"


async def test_pausing_twice_gives_another_reason_and_one_resume_ends_it(ledger: Ledger) -> None:
    await ledger.node()
    await pause(ledger, reason="new model")
    await pause(ledger, reason="still loading")
    assert [text.partition(" ")[2] for text in (await ledger.hash("paused")).values()] == ["still loading"]
    await say(ledger, "pair.resumed", src_lang="zh", tgt_lang="en")  # which was not paused
    assert await ledger.hash("config") == {"paused": "1"}
    await resume(ledger)
    await resume(ledger)
    assert (await ledger.hash("paused"), await ledger.hash("config")) == ({}, {})


async def test_pauses_cost_nothing_while_nothing_is_paused(ledger: Ledger) -> None:
    await ledger.node()
    await ledger.redis.config_resetstat()
    await ledger.submit("j1")
    await ledger.submit("j2", immediate=True)
    stats: dict[str, Any] = await ledger.redis.info("commandstats")
    # `HGET` is what a pause is asked for by; nothing else in a dispatch uses it
    assert "cmdstat_hget" not in stats


async def test_explain_says_what_is_paused_since_when_and_why(log: Ledger, cli: Cli) -> None:
    await log.node()
    await pause(log, reason="new model")
    await log.submit("j1")

    def why() -> tuple[str, str]:
        found = json.loads(cli.run("explain", "job", "j1", "--json").out)
        return found["reason"]["code"], found["summary"]

    assert why() == (
        "pools_paused",
        "every pool of zh → en that has members is paused; `streamsched resume --pool en-zh` lets one go on",
    )
    await say(log, "pair.paused", src_lang="zh", tgt_lang="en", reason="bad model")
    code, words = why()
    assert code == "pair_paused"
    assert "(bad model); `streamsched resume --pair zh:en`" in words
    assert "members, paused:" in cli.run("explain", "job", "j1").out
    await say(log, "pair.resumed", src_lang="zh", tgt_lang="en")
    await log.node("n2", "de-en-zh")  # another way: it was dispatched at once
    assert why()[0] == "held"


async def test_status_lists_what_is_paused(log: Ledger, cli: Cli) -> None:
    await log.node()
    await pause(log, reason="new model")
    await say(log, "pair.paused", src_lang="de", tgt_lang="fr")
    await log.submit("j1", src="de", tgt="fr")
    shown = cli.run("status").out
    assert "paused: pool en-zh for" in shown
    assert ": new model" in shown
    assert "paused: de → fr for" in shown
    outcome = json.loads(cli.run("status", "--json").out)
    assert [(one["kind"], one["name"], one["reason"]) for one in outcome["paused"]] == [
        ("pair", "de:fr", ""),
        ("pool", "en-zh", "new model"),
    ]
    assert [pool["paused"] for pool in outcome["pools"]] == [True]
    assert [pair["paused"] for pair in outcome["waiting"]] == [True]
