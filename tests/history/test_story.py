"""The story of a job, a node and a session, from the log in its order."""

from __future__ import annotations

import json
import re

import pytest

from streamsched.contract.wire import EVENTS
from streamsched.engine.source import facts
from streamsched.history.story import WORDS

from ..support.ledger import Ledger
from ..support.processes import Cli

pytestmark = pytest.mark.anyio


def outcome(cli: Cli, *arguments: str) -> list[tuple[str, str]]:
    shown = cli.run("trace", *arguments, "--json")
    assert shown.code == 0, shown.err
    steps = [json.loads(line) for line in shown.out.splitlines()]
    return [(step["type"], step["refused"] or step["words"]) for step in steps]


async def test_a_job_is_followed_from_node_to_node_to_its_end(log: Ledger, cli: Cli) -> None:
    await log.node("n1")
    await log.submit("j1")
    await log.submit("other", "s2")
    await log.node("n2")
    await log.append(["type", "node.offline", "node_id", "n1", "reason", "power cut"])
    await log.tell("completed", "j1", node_id="n1", attempt="0-0-x", status="finished")
    await log.tell("completed", "j1", status="finished")
    steps = outcome(cli, "job", "j1")
    assert [kind for kind, _ in steps] == [
        "job.submitted",
        "job.dispatched",
        "node.offline",
        "job.requeued",
        "job.dispatched",
        "job.completed",
        "job.completed",
    ]
    words = [text for _, text in steps]
    assert words[0] == "submitted by session s1, zh → en"
    assert words[1].startswith("to node n1 of pool en-zh: the only candidate")
    assert words[2] == "its node n1 offline: power cut"
    assert words[3] == "waits again, away from n1: node lost"
    assert words[4].startswith("to node n2")
    assert re.match(r"NODE_MISMATCH|STALE_ATTEMPT", words[5])
    assert words[6] == "node n2 reports finished"


async def test_a_submission_without_an_id_is_found_by_the_id_it_was_given(log: Ledger, cli: Cli) -> None:
    await log.node()
    answer = await log.answer(["type", "job.submitted", "session_id", "s1", "src_lang", "zh", "tgt_lang", "en",
                               "payload_json", "{}"])  # fmt: skip
    assert [kind for kind, _ in outcome(cli, "job", f"s1:{answer[1]}")] == ["job.submitted", "job.dispatched"]


async def test_a_node_story_holds_its_jobs_and_what_was_done_to_it(log: Ledger, cli: Cli) -> None:
    await log.node("n1")
    await log.node("n2", "de-fr")
    await log.submit("j1")
    await log.append(["type", "node.cordoned", "node_id", "n1", "reason", "hot"])
    kinds = [kind for kind, _ in outcome(cli, "node", "n1")]
    assert kinds[0] == "node.registered"
    assert kinds[-2:] == ["job.dispatched", "node.cordoned"]
    assert ("node.cordoned", "cordoned: hot") in outcome(cli, "node", "n1")


async def test_a_session_story_marks_the_move_from_one_node_to_another(log: Ledger, cli: Cli) -> None:
    await log.node("n1")
    await log.submit("j1")
    await log.tell("completed", "j1", status="finished")
    await log.append(["type", "node.offline", "node_id", "n1"])
    await log.node("n2")
    await log.submit("j2")
    await log.append(["type", "session.released", "session_id", "s1"])
    steps = outcome(cli, "session", "s1")
    assert any("moved from n1" in words and "job j2 to node n2" in words for _, words in steps)
    assert steps[-1][0] == "session.released"


async def test_a_pool_and_a_pair_have_stories_of_who_paused_and_resumed_them(log: Ledger, cli: Cli) -> None:
    await log.node("n1")
    await log.submit("j1")
    for kind, *fields in (
        ("pool.paused", "pool_id", "en-zh", "reason", "new model"),
        ("pair.paused", "src_lang", "zh", "tgt_lang", "en", "reason", "bad words"),
        ("pair.paused", "src_lang", "en", "tgt_lang", "zh"),
        ("scheduler.configured", "max_attempts", "5", "reason", "flaky"),
        ("pool.resumed", "pool_id", "en-zh"),
        ("pair.resumed", "src_lang", "zh", "tgt_lang", "en"),
    ):
        await log.append(["type", kind, *fields])
    pool = outcome(cli, "pool", "en-zh")
    assert [kind for kind, _ in pool] == ["node.registered", "pool.paused", "scheduler.configured", "pool.resumed"]
    assert pool[0][1].startswith("node n1 registers for")
    assert pool[1][1] == "pool en-zh has no new jobs: new model"
    assert outcome(cli, "pair", "zh:en") == [
        ("pair.paused", "jobs of zh → en wait: bad words"),
        ("scheduler.configured", "configured: max_attempts=5: flaky"),
        ("pair.resumed", "jobs of zh → en go to nodes again"),
    ]
    refused = cli.run("trace", "pair", "zh")
    assert (refused.code, "give both languages, such as zh:en" in refused.err) == (2, True)


async def test_an_unknown_name_is_refused_with_the_range_of_the_log(log: Ledger, cli: Cli) -> None:
    await log.node()
    refused = cli.run("trace", "job", "nobody")
    assert refused.code == 1
    assert "no event names job 'nobody'" in refused.err
    assert "events from" in refused.err


async def test_a_story_goes_through_archive_and_log_and_cannot_harm_the_terminal(log: Ledger, cli: Cli) -> None:
    await log.node()
    await log.submit("j1")
    await log.tell("completed", "j1", status="failed", error="\x1b[31m")
    assert cli.run("archive", "--to", "kept", "--once", "--trim", "--yes").code == 0
    await log.append(["type", "job.cancelled", "job_id", "j1", "reason", "enough"])
    shown = cli.run("trace", "job", "j1", "--archive", "kept")
    assert shown.code == 0
    assert "\x1b" not in shown.out
    assert shown.out.index("submitted by") < shown.out.index("reports failed") < shown.out.index("enough")
    assert re.search(r"\+\d+ ms", shown.out)


@pytest.mark.parametrize("kind", sorted(set(EVENTS) | set(facts())))
def test_every_event_about_a_job_a_node_or_a_session_has_words_of_its_own(kind: str) -> None:
    assert kind in WORDS or kind.startswith(("scheduler.", "letter."))
