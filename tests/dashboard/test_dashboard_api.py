"""What the dashboard tells: now, at any moment of the past, and why."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from streamsched.contract.events import NodeHeartbeat
from streamsched.contract.keys import Keys
from streamsched.dashboard import state_reader as scene
from streamsched.dashboard.past import checkpoints
from streamsched.dashboard.past import time_travel as moments
from streamsched.server.embedded import EmbeddedServer

from ..support.dashboard import OPERATOR, Dashboard, dashboard
from ..support.ledger import Ledger
from ..support.processes import Cli

pytestmark = pytest.mark.anyio


@pytest.fixture
async def shown(server: EmbeddedServer, ledger: Ledger) -> AsyncIterator[Dashboard]:
    async with dashboard(server, ledger.keys) as one:
        yield one


async def day(ledger: Ledger, jobs: int = 30) -> list[str]:
    """Some nodes and jobs; returns the ids of the log."""
    await ledger.node("n1", "en-zh")
    await ledger.node("n2", "en-zh", "de-en")
    for n in range(jobs):
        await ledger.submit(f"j{n}", f"s{n % 3}")
        if n % 2:
            await ledger.tell("completed", f"j{n}", status="finished")
        if n == jobs // 2:
            await ledger.append(["type", "node.offline", "node_id", "n1", "reason", "power cut"])
            await ledger.append(["type", "job.completed", "job_id", "nobody", "node_id", "n1", "status", "finished"])
    await ledger.advance()
    return [entry_id for entry_id, _ in await ledger.redis.xrange(ledger.keys("events"))]


async def test_a_page_is_sent_what_stands_now_and_then_only_what_changes(ledger: Ledger, shown: Dashboard) -> None:
    await ledger.node()
    async with shown.page() as page:
        await page.until(lambda now: now["rows"].get("n1") == ("o", 0))
        assert page.shown["partition"]["condition"] == "ok"
        await ledger.submit("j1")
        now = await page.until(lambda now: now["rows"]["n1"] == ("o", 1))
        assert now["log"][-1]["type"] in ("job.submitted", "job.dispatched")
        assert [message["whole"] for message in page.messages] == [True] + [False] * (len(page.messages) - 1)
        await ledger.append(["type", "node.cordoned", "node_id", "n1", "reason", "hot"])
        await ledger.submit("j2", src="sv", tgt="fi")
        now = await page.until(lambda now: now["rows"]["n1"][0] == "c" and now["counters"]["waiting"] == 1)
        pairs = {tuple(row[:2]): row[2:] for row in now["pairs"]}
        assert pairs[("sv", "fi")] == [1, 0, 0, 0, False]
        assert pairs[("zh", "en")][1:] == [1, 0, 0, False]


async def test_a_job_that_ends_without_its_node_being_named_frees_the_node_on_the_page(
    ledger: Ledger, shown: Dashboard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scene, "SWEEP", 0)  # which would find it after a while
    await ledger.node()
    await ledger.submit("j1")
    async with shown.page() as page:
        await page.until(lambda now: now["rows"].get("n1") == ("o", 1))
        await ledger.append(["type", "job.cancelled", "job_id", "j1"])
        await page.until(lambda now: now["rows"]["n1"] == ("o", 0))


async def test_a_page_that_comes_back_is_sent_only_what_it_missed(ledger: Ledger, shown: Dashboard) -> None:
    await ledger.node()
    async with shown.page() as first:
        await first.until(lambda now: "n1" in now["rows"])
        seen = first.shown
        async with shown.page(**{"last-event-id": f"{seen['gen']}-{seen['rev']}"}) as page:
            await ledger.submit("j1")
            assert (await page.next())["whole"] is False
        async with shown.page(**{"last-event-id": "nonsense-99999999999999999999"}) as page:
            assert (await page.next())["whole"] is True


async def test_nothing_is_read_while_no_page_is_open(ledger: Ledger, shown: Dashboard) -> None:
    await ledger.node()
    async with shown.page() as page:
        await page.until(lambda now: "n1" in now["rows"])

    async def calls() -> int:
        return int((await ledger.redis.info("stats"))["total_commands_processed"])

    with anyio.fail_after(20):
        before = await calls()
        while (now := await calls()) != before + 1:  # the question itself
            before = now
            await anyio.sleep(0.3)


async def test_a_moment_shows_the_fold_up_to_it_in_any_order_of_requests(
    ledger: Ledger, server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("SPACING", 16), ("MOST", 3)):
        monkeypatch.setattr(checkpoints, name, value)
    monkeypatch.setattr(moments, "WORTH", 8)
    ids = await day(ledger)
    last = len(ids) - 1
    wanted = {ids[n]: n + 1 for n in (0, 5, last - 1, 30, 31, last - 2, 12, last, 20)}
    async with dashboard(server, ledger.keys) as shown:
        await shown.read()
        outcome = {one: await shown.get("moment", at=one) for one in wanted}
    types = [fields["type"] for _, fields in await ledger.redis.xrange(ledger.keys("events"))]
    for one, folded in wanted.items():
        past, counters = outcome[one], outcome[one]["counters"]
        assert past["moment"]["folded"] == folded
        assert past["log"][-1]["id"] == one
        assert counters["submitted"] == types[:folded].count("job.submitted")
        assert counters["dispatched"] == types[:folded].count("job.dispatched")
        assert len(past["nodes"]["ids"]) == counters["nodes"]
        assert sum(past["nodes"]["held"]) == counters["held"]


async def test_a_moment_has_the_health_of_each_node_as_it_was(ledger: Ledger, shown: Dashboard) -> None:
    await day(ledger)
    await shown.read()
    lost = (await shown.get("next", kind="loss", at=(await shown.get("timeline"))["first"]))["id"]
    at = dict(zip(*[(await shown.get("moment", at=lost))["nodes"][name] for name in ("ids", "health")], strict=True))
    assert at == {"n1": "x", "n2": "o"}
    before = int(lost.split("-")[0])
    earlier = await shown.get("moment", at=f"{before - 1}-{2**40}")
    assert dict(zip(earlier["nodes"]["ids"], earlier["nodes"]["health"], strict=True))["n1"] in "of"
    letter = (await shown.get("next", kind="letter", at=lost))["id"]
    assert (await shown.get("moment", at=letter))["letters"][0]["event"] == letter
    assert earlier["letters"] == []


async def test_a_step_forward_sends_only_what_differs(ledger: Ledger, shown: Dashboard) -> None:
    ids = await day(ledger)
    await shown.read()
    one = await shown.get("moment", at=ids[20])
    two = await shown.get("moment", at=ids[24], gen=one["gen"], rev=one["rev"])
    assert (two["whole"], [row["id"] for row in two["log"]]) == (False, ids[21:25])
    assert "ids" not in two.get("nodes", {})
    back = await shown.get("moment", at=ids[3], gen=two["gen"], rev=two["rev"])
    assert back["whole"] is True


async def test_a_time_before_or_behind_the_history_shows_its_nearest_end(ledger: Ledger, shown: Dashboard) -> None:
    ids = await day(ledger, jobs=3)
    assert (await shown.get("moment", at=1))["moment"]["id"] == ids[0]
    assert (await shown.get("moment", at=9_999_999_999_999))["moment"]["id"] == ids[-1]


async def test_the_details_of_a_node_show_its_trouble_while_it_lasts(ledger: Ledger, shown: Dashboard) -> None:
    await ledger.node()
    for trouble in ("the inbox cannot be read", None):
        await ledger.append(NodeHeartbeat(node_id="n1", online=True, trouble=trouble))
        assert (await shown.get("about", kind="node", id="n1"))["state"]["trouble"] == (trouble or "")


async def test_a_story_shows_why_one_job_waits_and_another_does_not(ledger: Ledger, shown: Dashboard) -> None:
    ids = await day(ledger)
    await ledger.submit("late", "s9", src="sv", tgt="fi")
    outcome = await shown.get("about", kind="job", id="late")
    assert outcome["why"]["reason"]["code"] == "no_pool"
    assert outcome["why"]["summary"].startswith("no pool serves sv → fi")
    held = await shown.get("about", kind="job", id="j0")
    assert held["why"]["reason"]["given"]["choice"] in ("two_choices", "only", "session")
    assert [step["type"] for step in held["steps"]][:2] == ["job.submitted", "job.dispatched"]
    session = await shown.get("about", kind="session", id="s0")
    assert {step["fields"].get("job_id") for step in session["steps"]} >= {"j0", "j3", "j27"}
    node = await shown.get("about", kind="node", id="n1", at=ids[-1])
    assert node["state"]["online"] is False
    assert any(step["type"] == "node.offline" for step in node["steps"])


async def test_a_story_of_the_past_knows_nothing_of_what_came_later(ledger: Ledger, shown: Dashboard) -> None:
    ids = await day(ledger)
    submitted = [fields for _, fields in await ledger.redis.xrange(ledger.keys("events"))]
    at = next(n for n, fields in enumerate(submitted) if fields.get("job_id") == "j1")
    outcome = await shown.get("about", kind="job", id="j1", at=ids[at])
    assert (outcome["state"]["status"], len(outcome["steps"])) == ("created", 1)
    assert (await shown.get("about", kind="job", id="j1"))["state"]["status"] == "finished"
    missing = await shown.get("about", 404, kind="job", id="j29", at=ids[at])
    assert "is unknown at that moment" in missing["detail"]


async def test_what_was_said_in_a_conversation_is_for_operators_only(ledger: Ledger, shown: Dashboard) -> None:
    await ledger.node()
    await ledger.submit("j1")
    reader = await shown.get("about", kind="job", id="j1")
    assert (reader["withheld"], "payload_json" in reader["state"]) == (True, False)
    operator = await shown.get("about", kind="job", id="j1", headers=OPERATOR)
    assert operator["state"]["payload_json"] == '{"text":"hm"}'
    for outcome in (reader, await shown.get("log"), await shown.read()):
        assert "hm" not in json.dumps(outcome)


async def test_a_search_finds_what_is_rare_however_far_back_it_lies(ledger: Ledger, shown: Dashboard) -> None:
    ids = await day(ledger)
    found = await shown.get("log", match="power cut")
    assert [row["type"] for row in found["rows"]] == ["node.offline"]
    assert found["behind"] == "0-0"
    refused = await shown.get("log", match="unknown_job nobody")
    assert len(refused["rows"]) == 1
    assert refused["rows"][0]["refused"].startswith("UNKNOWN_JOB")
    assert [row["id"] for row in (await shown.get("log", at=ids[9], limit=4))["rows"]] == ids[6:10]


BAD: dict[str, tuple[str, dict[str, Any], int, str]] = {
    "a moment that is missing": ("moment", {}, 400, "at is missing"),
    "a moment that is none": ("moment", {"at": "yesterday"}, 404, "1700000000000"),
    "a revision that is none": ("moment", {"at": 1, "rev": "-1"}, 400, "rev="),
    "a span that is none": ("moment", {"at": 1, "span": "9" * 40}, 400, "span="),
    "an unknown kind of jump": ("next", {"at": 1, "kind": "party"}, 400, "loss, requeue, letter"),
    "an unknown kind of story": ("about", {"id": "j1", "kind": "pool"}, 400, "job, node, session"),
    "a story without an id": ("about", {"kind": "job"}, 400, "id is missing"),
    "a name without end": ("about", {"kind": "job", "id": "x" * 700}, 400, "too long"),
    "an unknown job": ("about", {"kind": "job", "id": "nobody"}, 404, "is unknown"),
    "a list without end": ("log", {"limit": 10**6}, 400, "limit="),
    "a filter without end": ("log", {"match": "x" * 300}, 400, "shorten it"),
    "a stretch of words": ("timeline", {"from": "monday"}, 400, "from="),
}


@pytest.mark.parametrize("case", BAD)
async def test_a_bad_request_gets_the_reason(case: str, servers: dict[str, EmbeddedServer], log: Ledger) -> None:
    await log.node()
    name, query, status, words = BAD[case]
    async with dashboard(servers["valkey"], log.keys) as shown:
        assert words in (await shown.get(name, status, **query))["detail"]


ACTIONS: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
    "cordon": ({"id": "n1", "reason": "hot"}, {"type": "node.cordoned", "node_id": "n1", "reason": "hot"}),
    "uncordon": ({"id": "n1"}, {"type": "node.uncordoned", "node_id": "n1"}),
    "drain": ({"id": "n1"}, {"type": "node.drained", "node_id": "n1"}),
    "cancel": ({"id": "j1", "reason": "late"}, {"type": "job.cancelled", "job_id": "j1", "reason": "late"}),
    "pause_pool": ({"id": "en-zh", "reason": "hot"}, {"type": "pool.paused", "pool_id": "en-zh", "reason": "hot"}),
    "resume_pool": ({"id": "en-zh"}, {"type": "pool.resumed", "pool_id": "en-zh"}),
    "pause_pair": ({"id": "zh:en"}, {"type": "pair.paused", "src_lang": "zh", "tgt_lang": "en"}),
    "resume_pair": ({"id": "zh:en"}, {"type": "pair.resumed", "src_lang": "zh", "tgt_lang": "en"}),
    "configure": (
        {"changes": {"max_attempts": "7"}, "reason": "trial"},
        {"type": "scheduler.configured", "max_attempts": "7", "reason": "trial"},
    ),
}


@pytest.mark.parametrize("action", ACTIONS)
async def test_an_action_is_an_event_that_says_where_it_came_from(
    action: str, ledger: Ledger, shown: Dashboard
) -> None:
    await ledger.node()
    await ledger.submit("j1")
    given, event = ACTIONS[action]
    done = await shown.act(action=action, **given)
    ((_, fields),) = await ledger.redis.xrange(ledger.keys("events"), done["id"], done["id"])
    fields.pop("request_id", None)  # of what has no identity of its own
    assert fields == {**event, "by": "dashboard"}


async def test_a_dead_letter_is_retried_or_dropped(ledger: Ledger, shown: Dashboard) -> None:
    for node in ("n1", "n2"):
        await ledger.append(["type", "node.cordoned", "node_id", node])
    first, second = await ledger.letter_ids()
    await ledger.node()
    async with shown.page() as page:
        await page.until(lambda now: [one["id"] for one in now["letters"]] == [second, first])
        await shown.act(action="retry", id=first)
        assert (await ledger.info())["cordoned"] == "true"
        await page.until(lambda now: [one["id"] for one in now["letters"]] == [second])
        await shown.act(action="drop", id=second, reason="never existed")
        await page.until(lambda now: now["letters"] == [])


REFUSED: dict[str, tuple[dict[str, Any], int, str]] = {
    "an unknown action": ({"action": "dance"}, 400, "action 'dance'"),
    "no subject": ({"action": "cordon"}, 400, "id is missing"),
    "half a pair": ({"action": "pause_pair", "id": "zh"}, 400, "src_lang:tgt_lang"),
    "an unknown field": ({"action": "cordon", "id": "n1", "force": True}, 400, "force"),
    "changes to a node": ({"action": "cordon", "id": "n1", "changes": {"node_id": "n2"}}, 400, "node_id"),
    "an unknown setting": ({"action": "configure", "changes": {"colour": "red"}}, 400, "colour"),
    "a setting that is no number": ({"action": "configure", "changes": {"max_attempts": "many"}}, 400, "max_attempts"),
    "no change": ({"action": "configure"}, 400, "changes is empty"),
    "a node that never was": ({"action": "cordon", "id": "nobody"}, 409, "nobody"),
    "a letter that is none": ({"action": "retry", "id": "nobody"}, 409, "not the id of a letter"),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_an_action_that_cannot_be_is_refused_with_its_reason(
    case: str, servers: dict[str, EmbeddedServer], log: Ledger
) -> None:
    given, status, words = REFUSED[case]
    async with dashboard(servers["valkey"], log.keys) as shown:
        assert words in (await shown.act(status, **given))["detail"]


async def test_an_action_must_come_as_json_and_be_short(servers: dict[str, EmbeddedServer], keys: Keys) -> None:
    async with dashboard(servers["valkey"], keys) as shown:
        text = await shown.client.post("/api/act", content=b"{}", headers={**OPERATOR, "content-type": "text/plain"})
        assert (text.status_code, "application/json" in text.text) == (400, True)
        await shown.act(400, action="cordon", id="n1", reason="x" * 70_000)
        nonsense = {**OPERATOR, "content-type": "application/json"}
        assert (await shown.client.post("/api/act", content=b"[", headers=nonsense)).status_code == 400


async def test_a_wiped_log_is_read_from_the_beginning(ledger: Ledger, shown: Dashboard) -> None:
    await ledger.node("n1")
    async with shown.page() as page:
        await page.until(lambda now: "n1" in now["rows"] and now["history"]["read"])
        await ledger.redis.flushdb()
        await ledger.node("n9")
        now = await page.until(lambda now: "n9" in now["rows"])
        assert "n1" not in now["rows"]
        assert {row["fields"].get("node_id") for row in now["log"]} == {"n9"}


async def test_a_server_that_goes_and_comes_back_is_shown_as_that(tmp_path: Path) -> None:
    with EmbeddedServer(data=tmp_path, append_only=True) as server:
        async with dashboard(server, Keys()) as shown, shown.page() as page:
            await page.until(lambda now: "partition" in now)
            await anyio.to_thread.run_sync(server.kill)
            now = await page.until(lambda now: now["away"])
            assert "problem" in now["away"]
            await anyio.to_thread.run_sync(server.start)
            await page.until(lambda now: now["away"] is None)


async def test_a_trimmed_log_has_no_past_without_its_archive_and_a_whole_one_with_it(
    log: Ledger, cli: Cli, servers: dict[str, EmbeddedServer]
) -> None:
    ids = await day(log, jobs=6)
    await log.append(*[["type", "job.cancelled", "job_id", f"j{n}"] for n in (0, 2, 4)])
    kept = cli.folder / "kept"
    done = cli.run("archive", "--to", str(kept), "--once", "--trim", "--yes")
    assert done.code == 0, done.err
    async with dashboard(servers["valkey"], log.keys) as shown:
        now = await shown.read()
        assert now["history"]["trouble"].startswith("GAP")
        assert "--archive" in now["history"]["trouble"]
        assert now["counters"]["submitted"] == 6
    async with dashboard(servers["valkey"], log.keys, archive=kept) as shown:
        now = await shown.read()
        assert now["history"]["trouble"] == ""
        past = await shown.get("moment", at=ids[2])
        assert past["moment"]["folded"] == 3
        assert (await shown.get("about", kind="job", id="j1"))["steps"][0]["type"] == "job.submitted"
