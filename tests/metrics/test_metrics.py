"""The metrics for Prometheus are true, stay cheap, and survive any fault of the server."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.openmetrics import parser as openmetrics
from redis.asyncio import Redis
from redis.exceptions import RedisError

from streamsched.contract.entries import Entry
from streamsched.contract.events import JobSubmitted, SchedulerConfigured
from streamsched.contract.keys import Keys
from streamsched.metrics import follower
from streamsched.metrics import state_metrics as reading
from streamsched.metrics.catalogue import CATALOGUE, PARTITION
from streamsched.metrics.follower import Follower
from streamsched.metrics.stages import BOUNDS_S, Stages
from streamsched.replay.rebuild import rebuild
from streamsched.server.embedded import EmbeddedServer, free_port

from ..support.ledger import Ledger
from ..support.processes import Cli, eventually
from ..support.scraping import Exported, Scraped, exported

pytestmark = pytest.mark.anyio

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "metrics.md").read_text()


@pytest.fixture(autouse=True)
def look_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follower, "LOOK_S", 0.02)


@pytest.fixture
async def shown(server: EmbeddedServer, ledger: Ledger) -> AsyncIterator[Exported]:
    async with exported(server, ledger.keys) as one:
        yield one


async def day(ledger: Ledger) -> None:
    """A little of everything: six jobs, four nodes, three refusals, a source."""
    await ledger.append(SchedulerConfigured(max_waiting=3))
    for n in range(4):
        await ledger.node(f"n{n}", "en-zh" if n < 3 else "de-en")
    await ledger.append(["type", "node.cordoned", "node_id", "n1"], ["type", "node.offline", "node_id", "n2"])
    await ledger.submit("j1")
    await ledger.tell("started", "j1")
    await ledger.tell("completed", "j1", status="finished")
    await ledger.submit("j2", max_attempts=1)
    await ledger.tell("started", "j2")
    await ledger.tell("completed", "j2", status="failed")
    await ledger.submit("j3", immediate=True, deliver=False)
    await ledger.tell("completed", "j3", status="finished")
    for n in range(3):
        await ledger.submit(f"waits{n}", src="sv", tgt="fi")
    await ledger.append(JobSubmitted(job_id="shed", session_id="s", src_lang="sv", tgt_lang="fi", payload_json="1"))
    await ledger.tell("completed", "j1", status="failed")
    await ledger.add({"type": "node.exploded"})
    await ledger.admit("gate", size=10)
    await ledger.say("gate", "job.submitted", "payload_json", "x" * 100)
    await ledger.take_in("gate")
    await ledger.advance()


async def test_metrics_come_from_state_and_log(ledger: Ledger, shown: Exported) -> None:
    await day(ledger)
    added = (await ledger.redis.xinfo_stream(ledger.keys("events")))["entries-added"]
    now = await shown.until(lambda now: sum(now.by("events_folded_total", "type").values())
                            + sum(now.by("decisions_total", "type").values()) == added)  # fmt: skip
    assert now.get("server_up") == 1
    assert now.by("partition_condition", "condition") == {"ok": 1}
    assert (now.get("lag_events"), now.get("log_events_folded_total")) == (0, added)
    assert now.by("events_folded_total", "type") == {
        "scheduler.configured": 1, "node.registered": 4, "node.cordoned": 1, "node.offline": 1, "job.submitted": 6,
        "job.started": 2, "job.completed": 4, "other": 1, "source.admitted": 1,
    }  # fmt: skip
    decisions = now.by("decisions_total", "type")
    assert (decisions["job.dispatched"], decisions["source.limited"]) == (3, 1)
    assert (now.get("jobs_submitted_total"), now.get("jobs_dispatched_total")) == (6, 3)
    assert (now.get("jobs_waiting"), now.get("jobs_held")) == (3, 0)
    assert now.by("jobs_ended_total", "status") == {"finished": 2, "failed": 1}
    assert now.by("dead_letters_total", "code") == {"ALREADY_TERMINAL": 1, "UNKNOWN_TYPE": 1, "NOT_PERMITTED": 1}
    assert (now.get("dead_letters_open"), now.get("submissions_shed_total")) == (3, 1)
    assert now.by("overload", "cause") == {"waiting": 1}
    assert (now.get("sources"), now.get("source_limits_total"), now.get("source_entries_dropped_total")) == (1, 1, 1)
    assert now.get("pair_jobs_waiting", src_lang="sv", tgt_lang="fi") == 3
    assert now.get("pair_open_pools", src_lang="sv", tgt_lang="fi") == 0
    now = await shown.until(lambda now: now.by("nodes", "state") == {"open": 2, "cordoned": 1, "offline": 1})
    assert (now.get("nodes_registered"), now.get("nodes_online")) == (4, 3)
    assert now.by("job_stage_seconds_count", "stage") == {"waiting": 3, "accepting": 2, "executing": 3}
    assert now.get("script_seconds_count")
    assert now.get("script_seconds", quantile="0.99") is not None
    assert now.get("archive_behind_seconds") is None  # no archiver runs


async def test_a_counter_starts_at_0_so_that_an_alert_sees_the_first_increase(ledger: Ledger, shown: Exported) -> None:
    await ledger.node()
    now = await shown.scrape()
    for name, label, value in (
        ("dead_letters_total", "code", "UNKNOWN_TYPE"),
        ("jobs_ended_total", "status", "failed"),
        ("decisions_total", "type", "node.expired"),
        ("overload", "cause", "memory"),
    ):
        assert now.get(name, **{label: value}) == 0
    for name in ("nodes_expired_total", "source_entries_dropped_total", "exporter_skipped_events_total"):
        assert now.get(name) == 0


async def test_an_event_counts_once_though_the_server_goes_away_while_it_is_read(
    server: EmbeddedServer, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ledger.submit("j1")
    one = Follower(server.url, ledger.keys)
    await one.look()
    await ledger.node()

    async def away() -> None:
        raise RedisError("gone")

    with monkeypatch.context() as patched:
        patched.setattr(one, "_ask", away)
        with pytest.raises(RedisError):
            await one.look()
    await ledger.append(["type", "node.cordoned", "node_id", "n1"])
    await one.look()
    assert (one.events["node.registered"], one.events["node.cordoned"], one.unread) == (1, 1, 0)
    assert sum(one.stages.took["waiting"].counts) == 1
    await one.close()


async def test_a_rebuild_under_way_is_waited_for(server: EmbeddedServer, ledger: Ledger) -> None:
    await ledger.node()
    one = Follower(server.url, ledger.keys)
    await one.look()
    stood = await ledger.redis.hgetall(ledger.keys("meta"))
    await ledger.redis.hset(ledger.keys("meta"), mapping={"rebuilding": "1", "watermark": "1-0", "folded": "1"})
    await one.look()
    await ledger.redis.hdel(ledger.keys("meta"), "rebuilding")
    await ledger.redis.hset(ledger.keys("meta"), mapping=stood)
    await ledger.append(["type", "node.cordoned", "node_id", "n1"])
    await one.look()
    assert (one.events["node.registered"], one.events["node.cordoned"], one.skipped) == (0, 1, 0)
    await ledger.append(["type", "node.uncordoned", "node_id", "n1"])
    await one.look()
    assert (one.events["node.uncordoned"], one.unread) == (1, 0)
    await one.close()


async def test_every_metric_is_of_the_catalogue_with_its_labels_and_type(ledger: Ledger, shown: Exported) -> None:
    await day(ledger)
    await ledger.redis.hset(ledger.keys("meta"), "archived", "1-0")
    now = await shown.until(lambda now: now.by("events_folded_total", "type").get("other"))
    assert {family.name for family in now.families} == {metric.name for metric in CATALOGUE}
    for metric, family in zip(CATALOGUE, sorted(now.families, key=place), strict=True):
        assert (family.type, family.documentation) == (metric.kind, metric.help)
        for sample in family.samples:
            extra = {"le"} if sample.name.endswith("_bucket") else set()
            own = set(metric.labels) if metric.kind != "summary" or sample.name == metric.name else set()
            assert set(sample.labels) == {*PARTITION, *own, *extra}, sample
            assert sample.name in metric.samples
    again = await shown.client.get("/metrics", headers={"accept": "application/openmetrics-text; version=1.0.0"})
    stricter: Any = openmetrics
    assert list(stricter.text_string_to_metric_families(again.text))


def place(family: Any) -> int:
    return [metric.name for metric in CATALOGUE].index(family.name)


async def test_a_counter_of_the_state_outlasts_the_exporter_and_a_rebuild(
    server: EmbeddedServer, ledger: Ledger
) -> None:
    await day(ledger)
    # an overload that is under way is counted beside the log until it is over
    await ledger.append(*(["type", "job.cancelled", "job_id", f"waits{n}"] for n in range(3)))

    def counted(now: Scraped) -> dict[str, float]:
        of_log = tuple(f"streamsched_{name}" for name in ("events_folded", "decisions", "exporter"))
        totals = [sample for sample in now.samples if sample.name.endswith("_total")]
        return {f"{one.name}{one.labels}": one.value for one in totals if not one.name.startswith(of_log)}

    async with exported(server, ledger.keys) as shown:
        before = counted(await shown.scrape())
    async with exported(server, ledger.keys) as shown:
        assert counted(await shown.scrape()) == before
        await rebuild(ledger.redis, ledger.keys)
        assert counted(await shown.scrape()) == before
        assert len(before) > 10


async def test_a_job_submitted_before_the_exporter_began_is_measured_from_its_submission(
    server: EmbeddedServer, ledger: Ledger
) -> None:
    await ledger.freeze()
    for n in range(3):
        await ledger.submit(f"j{n}")
    await ledger.submit("later", not_before_ts=await ledger.now() + 4000)
    async with exported(server, ledger.keys) as shown:
        await ledger.pass_time(5000)  # the clock stands still otherwise
        await ledger.node()
        now = await shown.until(lambda now: now.get("job_stage_seconds_count", stage="waiting") == 4)
    assert now.get("job_stage_seconds_sum", stage="waiting") == pytest.approx(3 * 5 + 1, abs=0.1)


async def test_a_language_pair_waited_for_before_the_exporter_began_is_found(
    server: EmbeddedServer, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "SHOWN", 2)
    for n, tgt in enumerate(["aa", "bb", "bb", "cc", "cc", "cc", "dd"]):
        await ledger.submit(f"j{n}", tgt=tgt)
    async with exported(server, ledger.keys) as shown:
        now = await shown.scrape()
        assert now.by("pair_jobs_waiting", "tgt_lang") == {"cc": 3, "bb": 2, "other": 2}
        await ledger.submit("k1", tgt="ee")
        await shown.until(lambda now: now.by("pair_jobs_waiting", "tgt_lang")["other"] == 3)


async def test_a_full_node_is_found_without_an_event(ledger: Ledger, shown: Exported) -> None:
    await ledger.node()
    await shown.until(lambda now: now.by("nodes", "state") == {"open": 1})
    for n in range(8):
        await ledger.submit(f"j{n}")
    await shown.until(lambda now: now.by("nodes", "state") == {"full": 1})


async def test_an_exporter_that_falls_far_behind_goes_on_at_the_end_and_says_what_it_left_out(
    server: EmbeddedServer, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follower, "MOST_UNREAD", 5)
    await ledger.node()
    one = Follower(server.url, ledger.keys)
    await one.look()
    await ledger.append(*(["type", "session.released", "session_id", f"s{n}"] for n in range(6)))
    await one.look()
    assert (one.skipped, one.unread, one.events["session.released"]) == (6, 0, 0)
    await ledger.append(["type", "session.released", "session_id", "s"])
    await one.look()
    assert (one.skipped, one.events["session.released"]) == (6, 1)
    monkeypatch.setattr(follower, "PAGES", 1)
    monkeypatch.setattr(follower, "PAGE", 2)
    await ledger.append(*(["type", "session.released", "session_id", f"s{n}"] for n in range(3)))
    await one.look()
    assert (one.unread, one.events["session.released"]) == (1, 3)  # the rest at the next look
    await one.close()


async def test_a_log_that_is_another_one_is_followed_from_where_it_stands(
    server: EmbeddedServer, ledger: Ledger
) -> None:
    await day(ledger)
    one = Follower(server.url, ledger.keys)
    await one.look()
    await ledger.redis.delete(*[key async for key in ledger.redis.scan_iter(match=ledger.keys.prefix + "*")])
    await ledger.node("n9")
    await one.look()
    await ledger.append(["type", "node.cordoned", "node_id", "n9"])
    await one.look()
    assert (one.events["node.registered"], one.events["node.cordoned"]) == (0, 1)
    assert one.nodes.ids == ["n9"]
    await one.close()


async def test_a_scrape_costs_the_same_commands_however_much_there_is(ledger: Ledger) -> None:
    async def cost() -> int:
        first = (await ledger.redis.info("stats"))["total_commands_processed"]
        await reading.read(ledger.redis, ledger.keys, [("zh", "fi")])
        return int((await ledger.redis.info("stats"))["total_commands_processed"]) - int(first)

    await ledger.node()
    await ledger.submit("j", tgt="fi")
    few = await cost()
    assert few < 40
    for n in range(40):
        await ledger.node(f"n{n}", f"en-{'abcd'[n % 4]}x")
        await ledger.submit(f"j{n}", tgt="fi")
    assert await cost() == few


async def test_an_outage_of_the_server_is_reported_and_waited_out(tmp_path: Path, keys: Keys) -> None:
    with EmbeddedServer(tmp_path, free_port()) as server:
        async with exported(server, keys) as shown:
            server.stop()
            gone = await shown.until(lambda now: now.get("server_up") == 0)
            assert gone.get("lag_events") is None
            assert gone.get("exporter_info") == 1
            server.start()
            await shown.until(lambda now: now.get("server_up") == 1 and now.get("lag_events") == 0)


async def test_a_server_out_of_memory_is_still_measured(ledger: Ledger, shown: Exported, redis: Redis) -> None:
    await day(ledger)
    await redis.config_set("maxmemory", "1")
    try:
        now = await shown.scrape()
        assert (now.get("server_up"), now.get("jobs_waiting"), now.get("dead_letters_open")) == (1, 3, 3)
    finally:
        await redis.config_set("maxmemory", "0")


# --- time in stages


def log(*events: dict[str, str]) -> Stages:
    """Follow events, each with its ``ms``."""
    stages = Stages()
    for e in events:
        fields = {name.encode(): text.encode() for name, text in e.items() if name != "ms"}
        stages.follow(fields[b"type"], f"{e['ms']}-0", int(e["ms"]), fields)
    return stages


def took(stages: Stages) -> dict[str, tuple[int, float]]:
    return {stage: (sum(one.counts), round(one.sum_s, 3)) for stage, one in stages.took.items() if sum(one.counts)}


def at(ms: int, what: str, **more: str) -> dict[str, str]:
    return {"ms": str(ms), "type": f"job.{what}", "job_id": "j1", **more}


SUBMITTED = at(1000, "submitted", session_id="s1")
DISPATCHED = at(1250, "dispatched", node_id="n1", nonce="x")
STARTED = at(1300, "started", node_id="n1", attempt="1250-0-x")
FINISHED = {"node_id": "n1", "attempt": "1250-0-x", "status": "finished"}
WHOLE = {"waiting": (1, 0.25), "accepting": (1, 0.05), "executing": (1, 1.7)}

STORIES: dict[str, tuple[list[dict[str, str]], dict[str, tuple[int, float]]]] = {
    "a job that goes through": ([SUBMITTED, DISPATCHED, STARTED, at(3000, "completed", **FINISHED)], WHOLE),
    "a job whose end tells that it began": (
        [SUBMITTED, DISPATCHED, at(1300, "completed", **FINISHED, ran_ms="40")],
        {"waiting": (1, 0.25), "accepting": (1, 0.01), "executing": (1, 0.04)},
    ),
    "a repeat of what was said": (
        [SUBMITTED, at(1100, "submitted", session_id="s1"), DISPATCHED, STARTED, {**STARTED, "ms": "1400"},
         at(3000, "completed", **FINISHED), at(3100, "completed", **FINISHED)],
        WHOLE,
    ),
    "a word of a lost attempt": (
        [SUBMITTED, DISPATCHED, {**STARTED, "attempt": "9-9-y"},
         at(3000, "completed", **{**FINISHED, "attempt": "9-9-y"})],
        {"waiting": (1, 0.25)},
    ),
    "a job that is to wait": (
        [{**SUBMITTED, "not_before_ts": "1200"}, DISPATCHED],
        {"waiting": (1, 0.05)},
    ),
    "a second attempt, whose wait is a pause": (
        [SUBMITTED, DISPATCHED, STARTED, at(1400, "completed", **{**FINISHED, "status": "failed"}),
         at(1401, "requeued"), at(2000, "dispatched", node_id="n2", nonce="y"),
         at(2001, "started", node_id="n2", attempt="2000-0-y")],
        {"waiting": (1, 0.25), "accepting": (2, 0.051), "executing": (1, 0.1)},
    ),
    "a job that its caller delivers": (
        [{**SUBMITTED, "deliver": "false"}, DISPATCHED, at(3250, "completed", node_id="n1", status="finished")],
        {"waiting": (1, 0.25), "executing": (1, 2.0)},
    ),
    "an end from a node that does not hold it": (
        [{**SUBMITTED, "deliver": "false"}, DISPATCHED, at(3250, "completed", node_id="n7", status="finished")],
        {"waiting": (1, 0.25)},
    ),
    "a job that was cancelled": ([SUBMITTED, at(1100, "cancelled"), DISPATCHED], {}),
    "a clock that was set back": ([SUBMITTED, {**DISPATCHED, "ms": "990"}], {"waiting": (1, 0.0)}),
}  # fmt: skip


@pytest.mark.parametrize("story", STORIES)
def test_the_time_in_each_stage_comes_from_the_log(story: str) -> None:
    events, expected = STORIES[story]
    assert took(log(*events)) == expected


def test_a_submission_without_a_job_id_is_known_by_what_the_fold_calls_it() -> None:
    unnamed = {name: text for name, text in SUBMITTED.items() if name != "job_id"}
    assert took(log(unnamed, {**DISPATCHED, "job_id": "s1:1000-0"})) == {"waiting": (1, 0.25)}
    asked = {**unnamed, "request_id": "r7"}
    assert took(log(asked, {**DISPATCHED, "job_id": "s1:r7"})) == {"waiting": (1, 0.25)}


def test_what_is_remembered_of_jobs_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamsched.metrics.stages.REMEMBERED", 2)
    monkeypatch.setattr("streamsched.metrics.stages.UNKNOWN", 1)
    events = [{**event, "job_id": f"j{n}"} for event in (SUBMITTED, DISPATCHED) for n in (1, 2, 3, 4)]
    stages = log(*events)
    assert took(stages) == {"waiting": (2, 0.5)}
    assert list(stages.unknown) == [b"j1"]


def test_a_duration_counts_in_the_bucket_that_bounds_it() -> None:
    stages = Stages()
    for bound in BOUNDS_S:
        stages.took["waiting"].observe(int(bound * 1000))
    assert stages.took["waiting"].counts[-1] == 0
    stages.took["waiting"].observe(10**9)
    assert stages.took["waiting"].counts[-1] == 1


def test_an_event_of_no_known_type_adds_no_series() -> None:
    one = Follower("redis://127.0.0.1:1", Keys("t"))
    series = set(one.events) | set(one.decisions)
    for kind in (b"job.exploded", b"\xff", b""):
        one.take(Entry("1-0", [b"type", kind, b"src_lang", b"\xff"]))
    assert set(one.events) | set(one.decisions) == series | {"other"}
    assert one.events["other"] == 3


# --- the command, and its page


def test_the_page_describes_every_metric_as_the_catalogue_does() -> None:
    rows = re.findall(r"^\| `(streamsched_\w+)` \| (\w+) \| (.*?) \| (.*) \|$", PAGE, re.MULTILINE)
    outcome = [
        (m.samples[0] if m.kind in ("counter", "gauge") else m.name, m.kind, m.labels, m.help) for m in CATALOGUE
    ]
    assert [(name, kind, tuple(re.findall(r"`(\w+)`", labels)), help) for name, kind, labels, help in rows] == outcome


def test_the_exporter_is_a_command(cli: Cli) -> None:
    port = free_port()
    process = cli.start("metrics", "--bind", f"127.0.0.1:{port}")
    eventually(lambda: '"metrics"' in cli.output(process))
    with httpx.Client(trust_env=False, timeout=30) as client:
        assert 'streamsched_server_up{partition="0",scheduler="' in client.get(f"http://127.0.0.1:{port}/metrics").text
    taken = cli.run("metrics", "--bind", f"127.0.0.1:{port}")
    assert taken.code == 2
    assert f"--bind 127.0.0.1:{port}: Address already in use; give another address" in taken.err
    assert cli.stop(process) == 0
    assert "Traceback" not in cli.output(process)
