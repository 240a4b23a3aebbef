"""The comparison with peers: its harness works end to end without a network, and its page says what was found."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.harness.plots import LARGEST, draw_all
from benchmarks.harness.server import Server, serve
from benchmarks.peers.adapters import contract as untyped
from benchmarks.peers.board import Board
from benchmarks.peers.catalogue import OURS, PEERS, Peer
from benchmarks.peers.curves import PLOTS
from benchmarks.peers.installing import ADAPTERS, NotInstalled, install, python_of
from benchmarks.peers.report import TABLES, cell, page, table
from benchmarks.peers.results import Found, Results, Setting
from benchmarks.peers.running import Adapter
from benchmarks.peers.workload import FIGURES, Round, Size

contract: Any = untyped  # a program of its own, run where the peers are installed
SMALL = Size(jobs=120, singles=20, paced_s=0.2, trips=10, idle_s=0.1)
HERE = [peer for peer in PEERS if not peer.packages and not peer.environment]


def named(name: str) -> Peer:
    return next(peer for peer in PEERS if peer.name == name)


@pytest.fixture(scope="module")
def running() -> Iterator[Server]:
    with serve("valkey") as server:
        yield server


@pytest.mark.parametrize("peer", HERE, ids=lambda peer: peer.name)
def test_what_needs_no_installation_does_the_work(peer: Peer, running: Server) -> None:
    command, _ = install(peer)
    turn = Round(Adapter(peer, command, running.url), running, SMALL)
    turn.run(("bulk", "drain", "trip"))
    assert turn.errors == {}
    assert turn.figures["drain"] > 0
    assert turn.figures["trip_p50"] <= turn.figures["trip_p99"]
    assert turn.figures["waiting"] > 200, "a waiting job holds its payload"
    assert turn.figures["twice"] == 0


def test_two_processes_start_every_job_of_a_backlog_and_none_is_started_by_both(running: Server) -> None:
    peer = named(OURS)
    adapter = Adapter(peer, install(peer)[0], running.url, workers=2)
    turn = Round(adapter, running, SMALL)
    turn.fill(adapter, "plain", SMALL.jobs)
    with Board(SMALL.jobs) as board, adapter.working(board, "plain") as workers:
        board.open_gate()
        workers.wait_for_starts(SMALL.jobs)
        assert sum(board.shares(SMALL.jobs)) == pytest.approx(1)


def test_a_dead_worker_is_reported_with_the_end_of_its_output(running: Server, tmp_path: Path) -> None:
    broken = tmp_path / "broken.py"
    broken.write_text("import sys\nprint('Traceback')\nraise RuntimeError('no such queue')\n")
    adapter = Adapter(named(OURS), [*install(named(OURS))[0][:1], str(broken)], running.url)
    turn = Round(adapter, running, SMALL)
    turn.run(("bulk", "drain", "trip"))
    assert set(turn.errors) == {"bulk", "drain", "trip"}
    assert "no such queue" in turn.errors["bulk"]
    assert turn.errors["drain"] == "there was nothing to drain"
    assert "a worker ended" in turn.errors["trip"]


def test_the_board_is_the_same_memory_for_both_sides() -> None:
    with Board(3) as board:
        writer = contract.Board(str(board.path), 1)
        writer.ready()
        assert board.ready(1)
        assert not board.ready(0)
        assert list(writer.words[:2]) == [0, 3]
        board.open_gate()
        assert list(writer.words[:2]) == [1, 3]
        writer.enqueued(0)
        for n in (0, 2):
            writer.started(n)
        assert not board.all_started(3)
        assert board.seen == 1
        writer.started(1)
        assert board.all_started(3)
        assert board.waits_ms(0, 1)[0] >= 0
        assert board.span_s(3) > 0
        assert board.twice == 0
        writer.started(1)
        assert board.twice == 1
        writer.words.release()


def test_every_peer_has_an_adapter_that_compiles_and_states_its_limits() -> None:
    assert len({peer.folder for peer in PEERS}) == len(PEERS)
    for peer in PEERS:
        source = (ADAPTERS / peer.program).read_text()
        if not peer.node:
            compile(source, peer.program, "exec")
        assert peer.loses
        assert peer.lacks or peer.name == OURS


def test_the_adapter_on_node_js_agrees_with_the_contract() -> None:
    source = (ADAPTERS / "queues" / "bullmq_node.mjs").read_text()
    found = dict(re.findall(r"\b(SLOTS|CONCURRENCY|HELD) = (\d+)", source))
    assert found == {name: str(getattr(contract, name)) for name in ("SLOTS", "CONCURRENCY", "HELD")}
    assert "HEAD = 2 + 2 * SLOTS" in source
    assert f'"x".repeat({len(contract.AUDIO)})' in source


def test_the_payload_has_about_200_bytes() -> None:
    assert 190 <= len(json.dumps(contract.payload(12_345))) <= 210


def test_a_peer_that_cannot_be_installed_is_reported_with_the_reason() -> None:
    with pytest.raises(NotInstalled, match=r"needs Python 3\.99"):
        python_of((3, 99))


def results() -> Results:
    """Made up, so that each row has a known answer."""
    setting = Setting("valkey 9.1.2")
    setting.peers[OURS] = Found({"drain": [90.0, 100.0, 110.0], "idle_commands": [1.0], "waiting": [400.0]})
    setting.peers["BullMQ (Node.js)"] = Found({"drain": [200.0], "waiting": [500.0]})
    setting.peers["huey"] = Found({"drain": [20.0]}, {"trip": "gave up | at once"})
    setting.peers["redis-benchmark XADD"] = Found({"bulk": [1e6]})
    kept = Setting("valkey 9.1.2", {OURS: Found({"drain": [80.0]})})
    curves = {
        "nodes": {"streamsched": [(10.0, 100.0), (10_000.0, 100.0)], "direct Lua": [(10.0, 80.0), (10_000.0, 4000.0)]}
    }
    versions = {OURS: "", "BullMQ (Node.js)": "bullmq 6", "huey": "huey 3"}
    missing = {"ardiq": "needs Python 3.12"}
    return Results("2 cores", 3, 20_000, versions, missing, {"valkey": setting, "valkey-aof": kept}, curves)


TARGETS = [
    ("drain, one process, against BullMQ on Node.js", 0.5, False),
    ("drain, one process, against the best in pure Python", 5.0, True),
    ("drain, one process, against ardiq", None, None),
    ("server memory of a waiting job, against BullMQ on Node.js", 0.8, True),
    ("idle: commands of one worker [1/s]", 1.0, True),
    ("dispatch_task at 10 nodes, against direct Lua", 1.25, True),
    ("dispatch_task at 200 nodes, against direct Lua", None, None),
    ("dispatch_task at 10,000 nodes, against direct Lua", 1 / 40, True),
    ("drain with AOF everysec, against none (valkey 9.1.2)", 0.8, False),
]


@pytest.mark.parametrize(("what", "value", "reached"), TARGETS, ids=lambda given: str(given))
def test_a_target_is_a_ratio_of_medians_and_says_whether_it_is_reached(
    what: str, value: float | None, reached: bool | None
) -> None:
    found = next(one for one in results().targets() if one.what == what)
    assert found.value == (None if value is None else pytest.approx(value))
    assert found.reached is reached


def test_a_run_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    results().save(tmp_path / "run.json")
    assert Results.load(tmp_path / "run.json") == results()


def test_the_page_shows_figures_failures_and_who_is_missing() -> None:
    shown = page(results(), PLOTS[:1], "plots")
    assert "| **streamsched** | 100 (90–110) | – |" in shown
    assert "enqueue, one by one" not in shown, "a figure that nobody has is no column"
    assert "| redis-benchmark XADD | – | 1,000,000 |" in shown
    assert "| huey | trip (valkey) | gave up \\| at once |" in shown
    assert "| ardiq | all of it | needs Python 3.12 |" in shown
    assert "append-only file, synced every second" in shown
    assert "(plots/nodes.svg)" in shown


def test_every_figure_stands_in_one_table_of_the_page() -> None:
    shown = [name for names in TABLES.values() for name in names]
    assert sorted(shown) == sorted(FIGURES)


def test_a_cell_is_the_median_with_its_range() -> None:
    assert cell([3.0]) == "3"
    assert cell([12345.0, 1.5, 0.01234]) == "1.5 (0.0123–12,300)"
    assert table(["a"], [["b|c\nd"]]) == "| a |\n| --- |\n| b\\|c d |\n"


def test_plots_are_small_text_and_the_same_each_time(tmp_path: Path) -> None:
    peers = [f"peer {n}" for n in range(8)]
    curves = {plot.name: {name: [(10.0**n, n + 1.0) for n in range(6)] for name in peers} for plot in PLOTS}
    assert draw_all(PLOTS, curves, tmp_path) == list(PLOTS)
    first = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert len(first) == len(PLOTS)
    assert all(len(drawing) < LARGEST for drawing in first.values())
    assert b">peer 3</text>" in first["nodes.svg"]
    draw_all(PLOTS, curves, tmp_path)
    assert first == {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert draw_all(PLOTS, {}, tmp_path) == []
