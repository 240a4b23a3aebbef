"""Questions in SQL over archive and live log, against stories whose answers are known."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ..support.ledger import Ledger
from ..support.processes import Cli

pytestmark = pytest.mark.anyio


def asked(cli: Cli, sql: str, *more: str) -> list[dict[str, Any]]:
    shown = cli.run("query", sql, "--json", *more)
    assert shown.code == 0, shown.err
    return [json.loads(line) for line in shown.out.splitlines()]


async def test_jobs_have_their_end_their_attempts_and_their_timings(log: Ledger, cli: Cli) -> None:
    await log.freeze()
    await log.submit("early", "s0")
    await log.pass_time(1000)
    await log.node("n1")
    await log.tell("started", "early")
    await log.pass_time(500)
    await log.tell("completed", "early", status="finished")
    await log.submit("held")
    await log.submit("waits", src="xx", tgt="yy")
    await log.submit("refused", src="xx", tgt="yy", immediate=True)
    await log.append(["type", "job.cancelled", "job_id", "waits", "reason", "enough"])
    await log.tell("completed", "early", status="failed", error="late")
    rows = {row["job_id"]: row for row in asked(cli, "SELECT * FROM jobs")}
    assert {job_id: row["status"] for job_id, row in rows.items()} == {
        "early": "finished",
        "held": "dispatched",
        "waits": "cancelled",
        "refused": "refused",
    }
    early = rows["early"]
    assert (early["wait_ms"] >= 1000, early["run_ms"] >= 500, early["attempts"]) == (True, True, 1)
    assert early["total_ms"] >= early["wait_ms"] + early["run_ms"]
    assert rows["waits"]["problem"] == "enough"
    assert rows["held"]["total_ms"] is None


async def test_a_node_is_available_from_its_beat_to_its_loss(log: Ledger, cli: Cli) -> None:
    await log.freeze()
    await log.node("n1")
    await log.pass_time(20_000)
    await log.append(["type", "node.offline", "node_id", "n1"])
    await log.pass_time(40_000)
    await log.append(["type", "session.released", "session_id", "s"])
    (row,) = asked(cli, "SELECT * FROM node_availability")
    assert row["losses"] == 1
    assert row["online_minutes"] == pytest.approx(20 / 60, abs=0.05)
    assert row["known_minutes"] == pytest.approx(1, abs=0.05)


async def test_the_time_without_a_node_is_counted_for_each_pair(log: Ledger, cli: Cli) -> None:
    await log.freeze()
    await log.node("n1")
    await log.submit("never", src="xx", tgt="yy")
    await log.pass_time(10_000)
    await log.append(["type", "node.offline", "node_id", "n1"])
    await log.pass_time(30_000)
    await log.append(["type", "session.released", "session_id", "s"])
    found = asked(cli, "SELECT * FROM unserved")
    unserved = {(row["src_lang"], row["tgt_lang"]): row["unserved_ms"] for row in found}
    assert set(unserved) == {("en", "zh"), ("zh", "en"), ("xx", "yy")}
    assert unserved["en", "zh"] == pytest.approx(30_000, abs=2000)
    assert unserved["xx", "yy"] == pytest.approx(40_000, abs=2000)


async def test_a_session_that_moves_is_listed_with_the_cause(log: Ledger, cli: Cli) -> None:
    await log.node("n1")
    await log.submit("j1")
    await log.append(["type", "node.offline", "node_id", "n1"])
    await log.node("n2")
    (move,) = asked(cli, "SELECT * FROM moves")
    assert (move["session_id"], move["from_node"], move["to_node"]) == ("s1", "n1", "n2")
    assert move["cause"] not in ("", "kept", "new")


async def test_dead_letters_are_rows_and_change_no_other_view(log: Ledger, cli: Cli) -> None:
    await log.node("n1")
    await log.submit("j1")
    await log.append(["type", "job.completed", "job_id", "j1", "node_id", "n2", "status", "finished"])
    (letter,) = asked(cli, "SELECT * FROM dead_letters")
    assert (letter["code"], letter["job_id"]) == ("NODE_MISMATCH", "j1")
    assert asked(cli, "SELECT status FROM jobs") == [{"status": "dispatched"}]


async def test_archive_and_tail_are_one_view_without_doubles(log: Ledger, cli: Cli) -> None:
    await log.node("n1")
    await log.submit("j1")
    await log.add({"type": "job.cancelled", "job_id": "nobody", "region": "eu"})
    await log.advance()
    assert cli.run("archive", "--to", "kept", "--once", "--max-events", "2").code == 0
    await log.submit("j2")
    await log.add({"type": "job.cancelled", "job_id": "nobody"})
    await log.advance()
    count = "SELECT count(*) AS n, count(DISTINCT id) AS ids FROM events"
    everything = await log.redis.xlen(log.keys("events"))
    assert asked(cli, count, "--archive", "kept") == [{"n": everything, "ids": everything}]
    assert asked(cli, "SELECT count(*) AS n FROM dead_letters", "--archive", "kept") == [{"n": 2}]
    assert asked(cli, "SELECT job_id FROM jobs", "--archive", "kept", "--offline") == [{"job_id": "j1"}]
    assert asked(cli, "SELECT rest['region'] AS r FROM events WHERE rest['region'] IS NOT NULL") == [{"r": "eu"}]


async def test_a_handled_letter_says_how_it_was_handled(log: Ledger, cli: Cli) -> None:
    gone = [["type", "job.cancelled", "job_id", job_id] for job_id in ("j1", "j2", "j3")]
    await log.append(*gone)
    first, second, _ = await log.letter_ids()
    await log.append([*gone[0], "retry_of", first])  # in vain
    await log.submit("j1")
    await log.append(["type", "letter.dropped", "letter", first], ["type", "letter.dropped", "letter", second])
    await log.append([*gone[0], "retry_of", first])
    sql = "SELECT job_id, handled FROM dead_letters ORDER BY event_id"
    rows = [(row["job_id"], row["handled"]) for row in asked(cli, sql)]
    assert rows == [("j1", "retried"), ("j2", "dropped"), ("j3", None), ("j1", None)]


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("SELECT", "Parser Error"),
        ("SELECT * FROM nodes", "nodes"),
        ("SELECT payload FROM events", "payload"),
        ("SELECT * FROM read_text('/etc/passwd')", "disabled|Permission"),
        ("COPY (SELECT 1) TO 'stolen.csv'", "disabled|Permission"),
    ],
)
async def test_sql_that_fails_says_why_and_what_there_is_to_ask(sql: str, words: str, log: Ledger, cli: Cli) -> None:
    await log.node()
    failed = cli.run("query", sql)
    assert failed.code == 2
    assert any(word in failed.err for word in words.split("|")), failed.err
    assert "the views are events, jobs" in failed.err
    assert failed.err.count("\n") == 1


async def test_answers_come_as_a_table_as_csv_and_cut_where_they_are_long(log: Ledger, cli: Cli) -> None:
    await log.node()
    for n in range(5):
        await log.submit(f"j{n}")
    table = cli.run("query", "SELECT job_id FROM jobs ORDER BY 1", "--limit", "2").out
    assert "j1" in table
    assert "j4" not in table
    assert "--limit" in table
    assert cli.run("query", "SELECT job_id FROM jobs ORDER BY 1", "--csv").out.split() == [
        "job_id",
        *(f"j{n}" for n in range(5)),
    ]
