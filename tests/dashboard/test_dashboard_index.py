"""What the dashboard remembers of a history: counts, marks, and where a name occurs."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from streamsched.contract.entries import fields_of, position
from streamsched.contract.keys import Keys
from streamsched.dashboard.log_index import index
from streamsched.dashboard.log_index.filtered_history import FilteredHistory, IndexedLog
from streamsched.dashboard.log_index.index import END, Index
from streamsched.dashboard.log_index.series import STEPS_MS, Series, quantile
from streamsched.dashboard.past import checkpoints
from streamsched.dashboard.past.checkpoints import Checkpoints
from streamsched.dashboard.view import View
from streamsched.history.history import History
from streamsched.history.story import trace
from streamsched.log.live import LiveLog
from streamsched.replay.scratch import Scratch
from streamsched.state.node_table import NodeTable

from ..support.ledger import Ledger

pytestmark = pytest.mark.anyio


def read(series: Series, name: str) -> list[Any]:
    assert series.start_ms is not None
    outcome = series.between(series.start_ms, series.end_ms, 10_000)
    return [value for value in outcome[name] if value]


def test_buckets_that_are_merged_keep_every_count() -> None:
    series, draw = Series(limit=16), random.Random(1)
    times = sorted(draw.randrange(10_000_000) for _ in range(500))
    for ms in times:
        series.at(ms).count("submitted", waited_ms=3)
    assert sum(read(series, "submitted")) == sum(read(series, "events")) == 500
    assert series.end_ms - times[-1] <= series.width_ms
    assert len(series.between(times[0], times[-1], 10_000)["ts"]) <= 17


def test_rolling_buckets_keep_the_latest_time_second_by_second() -> None:
    series = Series(limit=100, rolling=True)
    for second in range(1000):
        series.at(second * 1000).count("submitted", None)
    assert series.width_ms == 1000
    assert not series.covers(800_000)
    assert series.between(950_000, 999_000, 100)["submitted"] == [1] * 50


def test_a_chart_of_a_long_time_has_no_more_steps_than_asked_for_and_loses_nothing() -> None:
    series = Series(limit=4096)
    for second in range(4000):
        series.at(second * 1000).count("dispatched", second % 50)
    outcome = series.between(0, 4_000_000, 100)
    assert len(outcome["ts"]) <= 101
    assert sum(outcome["dispatched"]) == 4000
    assert outcome["ts"] == sorted(outcome["ts"])


@pytest.mark.parametrize(
    ("waits", "share", "low", "high"),
    [
        ([1] * 9 + [900], 0.5, 0, 1),
        ([1] * 9 + [900], 0.99, 500, 1000),
        ([7], 0.5, 5, 10),
        ([10**9], 0.5, 3_600_000, 10**7),
    ],
)
def test_a_quantile_lies_in_the_class_of_its_latency(waits: list[int], share: float, low: int, high: int) -> None:
    series = Series(limit=10)
    for wait in waits:
        series.at(5).count("dispatched", wait)
    counts = series.at(5).latencies
    assert counts is not None
    assert len(counts) == len(STEPS_MS) + 1
    assert low <= quantile(counts, share) <= high


async def lively(ledger: Ledger) -> None:
    """A log with everything that makes a story: sessions, custom and made-up ids, failures, losses, refusals."""
    for n in range(3):
        await ledger.node(f"n{n}")
    for n in range(24):
        await ledger.submit(f"j{n}", f"s{n % 4}")
        if n % 3 == 0:
            await ledger.tell("started", f"j{n}")
        if n % 3 == 1:
            await ledger.tell("completed", f"j{n}", status="finished" if n % 2 else "failed")
        if n % 5 == 0:
            await ledger.append(
                ["type", "job.completed", "job_id", f"nobody{n}", "node_id", "n1", "status", "finished"]
            )
        if n % 8 == 7:
            await ledger.append(["type", "node.offline", "node_id", f"n{n % 3}", "reason", "gone"])
            await ledger.advance()
            await ledger.node(f"n{n % 3}")
    await ledger.append(["type", "session.released", "session_id", "s1"])
    await ledger.append(["type", "job.submitted", "session_id", "s2", "src_lang", "zh", "tgt_lang", "en",
                         "payload_json", "{}"])  # fmt: skip
    await ledger.advance()


async def indexed(history: History) -> Index:
    known = Index()
    async for chunk in history.chunks(count=7):
        known.add(chunk)
    return known


async def test_a_story_read_where_its_name_occurs_is_the_story_read_from_everything(
    ledger: Ledger, live: LiveLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index, "BLOCK", 5)
    await lively(ledger)
    history = History(ledger.keys, live, None)
    known = await indexed(history)
    lens = FilteredHistory(History(ledger.keys, IndexedLog(live.redis, ledger.keys, known), None), known, END)
    passed_over = 0
    names = [("job", f"j{n}") for n in range(24)] + [("node", f"n{n}") for n in range(3)]
    names += [("session", f"s{n}") for n in range(4)] + [("job", "nobody5"), ("job", "unknown")]
    for kind, name in names:
        whole = [step async for step in trace(history, kind, name)]
        assert [step async for step in trace(lens, kind, name)] == whole, (kind, name)
        seen = sum([len(chunk.entries) async for chunk in lens.about({name}).chunks()])
        passed_over += seen < known.count / 2
    assert passed_over > len(names) / 3, "the index saves no reading"


async def test_a_lens_sees_nothing_behind_its_moment(ledger: Ledger, live: LiveLog) -> None:
    await lively(ledger)
    history = History(ledger.keys, live, None)
    known = await indexed(history)
    ids = [entry.id async for chunk in history.chunks() for entry in chunk.entries]
    middle = ids[len(ids) // 2]
    seen = [entry.id async for chunk in FilteredHistory(history, known, middle).chunks() for entry in chunk.entries]
    assert seen == ids[: len(ids) // 2 + 1]


async def test_the_index_counts_and_marks_what_the_log_says(ledger: Ledger, live: LiveLog) -> None:
    await lively(ledger)
    history = History(ledger.keys, live, None)
    known = await indexed(history)
    types: dict[str, list[str]] = {}
    refused: list[str] = []
    async for chunk in history.chunks():
        refused += chunk.buried
        for entry in chunk.entries:
            if entry.id not in chunk.buried:
                types.setdefault(fields_of(entry)["type"], []).append(entry.id)
    assert sum(read(known.whole, "submitted")) == len(types["job.submitted"])
    assert sum(read(known.whole, "dispatched")) == len(types["job.dispatched"])
    assert list(known.marks["loss"]) == types["node.offline"]
    assert list(known.marks["requeue"]) == types["job.requeued"]
    assert list(known.marks["letter"]) == [letter.id for letter in known.letters] == refused
    assert known.pairs == {("zh", "en")}
    first, second = types["node.offline"][:2]
    assert known.neighbour("loss", first, back=False) == second
    assert known.neighbour("loss", second, back=True) == first
    assert known.neighbour("loss", first, back=True) is None


async def test_the_refused_events_that_the_index_knows_are_those_that_the_log_knows(
    ledger: Ledger, live: LiveLog
) -> None:
    await lively(ledger)
    known = await indexed(History(ledger.keys, live, None))
    ids = [entry.id async for chunk in live.chunks("0-0", known.last, 1000) for entry in chunk.entries]
    for after, until in ((ids[0], ids[-1]), (ids[3], ids[20]), (ids[30], ids[31]), ("0-0", ids[40])):
        outcome = await live.refused(after, until)
        expected = {event_id: why for event_id, why in outcome.items() if position(event_id) > position(after)}
        assert await IndexedLog(live.redis, ledger.keys, known).refused(after, until) == expected


def rows(*given: tuple[str, str, str]) -> list[str]:
    """Replies of the script ``nodes``: id, whether it may receive a job, how many it holds."""
    return [text for node_id, may, held in given for text in (node_id, "true", "true", may, "false", "en-zh", held)]


def test_a_board_sends_what_changed_since_and_says_so_to_all_with_the_same_bytes() -> None:
    board = View()
    board.nodes.update(rows(("n1", "true", "0"), ("n2", "true", "0")), board.begin())
    board.put("counters", {"waiting": 1})
    first = board.message()
    board.nodes.update(rows(("n1", "true", "0"), ("n2", "false", "8")), board.begin())
    board.put("counters", {"waiting": 1})
    assert b'"rows":[[1,"n2","f",8,0]]' in board.message(first.gen, first.rev).text
    assert b"counters" not in board.message(first.gen, first.rev).text
    assert board.message(first.gen, first.rev).text is board.message(first.gen, first.rev).text
    assert b'"ids":["n1","n2"]' in board.message("another", first.rev).text
    assert b'"ids"' not in board.message(board.gen, board.rev).text


def test_a_table_counts_its_nodes_by_pool_and_health() -> None:
    table = NodeTable()
    assert table.update(rows(("n1", "true", "0"), ("n2", "false", "8")), 1)
    assert not table.update(rows(("n1", "true", "0")), 2)
    assert table.by_pool == {"en-zh": [2, 1]}
    assert {key: count for key, count in table.totals.items() if count} == {"o": 1, "f": 1}
    table.update(["n1", "false", "true", "false", "false", "", "0"], 3)
    assert (table.by_pool, table.online) == ({"en-zh": [1, 0]}, 1)


async def test_checkpoints_grow_sparser_instead_of_more(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(checkpoints, "MOST", 4)
    kept = Checkpoints()

    class Saving:
        async def execute_command(self, *words: str) -> None:
            (tmp_path / "dump.rdb").write_bytes(b"x")

    scratch = Scratch(Saving(), Keys())  # type: ignore[arg-type]
    for n in range(1, 21):
        scratch.watermark, scratch.folded = f"{n}-0", n * checkpoints.SPACING
        await kept.keep(scratch, tmp_path)
    assert kept.folder is not None
    assert 2 <= len(list(kept.folder.iterdir())) <= 4
    nearest = kept.before("15-0")
    assert nearest is not None
    assert 0 < nearest.folded <= 15 * checkpoints.SPACING
    assert kept.before("0-5") is None
    kept.close()
    assert not kept.folder.exists()
