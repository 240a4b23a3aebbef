"""The demo plays to its end, judges itself from the log, can find itself guilty, and leaves nothing running."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from streamsched.client.results import JobResult
from streamsched.contract.jobs import JobState
from streamsched.demo.faults import Targets
from streamsched.demo.report import DemoReport, Journal, judged
from streamsched.demo.run import DemoOptions
from streamsched.demo.tally import Tally, percentile
from streamsched.workload.fleet import lone_pairs, plan_fleet
from streamsched.workload.generator import PAIRS

DEMO = [sys.executable, "-m", "streamsched", "demo"]


def play(*arguments: str) -> subprocess.CompletedProcess[str]:
    wide = os.environ | {"COLUMNS": "200"}  # so that no line of the summary is broken
    return subprocess.run([*DEMO, *arguments], env=wide, capture_output=True, text=True, timeout=100, check=False)


@pytest.fixture(scope="module")
def report() -> dict[str, Any]:
    done = play("--seconds", "12", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_nothing_is_lost_or_completed_twice_and_the_state_equals_its_log(report: dict[str, Any]) -> None:
    assert (report["lost"], report["completed_twice"], report["differing_outcomes"]) == (0, 0, 0)
    assert report["state_equals_log"] is True
    assert report["problems"] == []


def test_every_job_is_accounted_for(report: dict[str, Any]) -> None:
    assert report["submitted"] > 500
    ends = report["finished"] + report["failed"] + report["ended_otherwise"] + report["alive"]
    assert report["submitted"] == ends
    assert report["outcomes"] == report["finished"] + report["failed"]
    assert report["finished"] > 0.9 * report["submitted"]


def test_what_was_planned_went_wrong(report: dict[str, Any]) -> None:
    said = "\n".join(report["incidents"])
    assert said.count("SIGKILL") == 3
    assert "SIGKILL: worker1" in said
    assert "stops reading its inbox" in said
    assert "is started again" in said
    assert report["requeued"]["accept timeout"] > 0, "the node that did not read its inbox kept its jobs"
    assert report["nodes_expired"] >= 1


def test_a_node_that_left_does_not_come_back_by_a_late_beat(report: dict[str, Any]) -> None:
    # those that expired came online again, by a beat or by another registration, but for the one that stays dead
    assert report["nodes_recovered"] < report["nodes_expired"]


def test_most_jobs_are_dispatched_at_once_and_most_follow_up_jobs_stay_on_their_node(report: dict[str, Any]) -> None:
    assert report["dispatch_p50_ms"] == 0
    assert report["dispatched_at_once"] > 0.8
    assert report["stayed"] > 10
    assert report["stayed_share"] > 0.5


def test_the_report_says_that_joining_pairs_to_arrivals_is_a_construction(report: dict[str, Any]) -> None:
    assert "our construction" in report["pairs"]
    assert "Mooncake" in report["arrivals"]


def test_traces_and_churn_are_played_from_files(tmp_path: Path) -> None:
    rows = [
        {"timestamp": n // 10 * 1000, "input_length": 100, "output_length": 20, "hash_ids": [0, n % 30]}
        for n in range(500)
    ]
    trace, pairs, churn = tmp_path / "t.jsonl", tmp_path / "p.csv", tmp_path / "c.csv"
    trace.write_text("\n".join(map(json.dumps, rows)))
    pairs.write_text("source,target,alignment_pairs\nen,zh_tw,60\nde,en,30\nen,fr,10\nen,ja,\n")
    churn.write_text("0,add,m1\n0,add,m2\n60000,remove,m1\n70000,add,m3\n80000,remove,m2\n")
    files = ("--trace", str(trace), "--pairs", str(pairs), "--churn", str(churn))
    done = play("--seconds", "5", "--speed", "8", *files)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "t.jsonl, 8 times faster" in done.stdout
    assert "1 without a count" in done.stdout
    assert "5 changes laid over the run" in done.stdout
    assert "400 in 5 s" in done.stdout, "40 s of the trace, ten requests a second"
    assert "40 nodes in 8 processes are online" in done.stdout, "no terminal: plain lines tell how it goes"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--trace", "{file}"), "bad:1: is neither a Mooncake trace"),
        (("--pairs", "{file}"), "bad:1: the header lacks source"),
        (("--churn", "{file}"), "bad:1: "),
        (("--trace", "nowhere"), "nowhere: cannot be read"),
        (("--seconds", "2"), "seconds is 2: give 5"),
    ],
)
def test_a_bad_file_or_number_is_named_before_anything_starts(
    tmp_path: Path, arguments: tuple[str, str], complaint: str
) -> None:
    bad = tmp_path / "bad"
    bad.write_text("what,is,this\n")
    done = play(*(argument.format(file=bad) for argument in arguments))
    assert done.returncode == 2
    assert complaint in done.stderr
    assert "Traceback" not in done.stderr


def children_of(pid: int) -> list[int]:
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False)
    return [int(word) for word in found.stdout.split()]


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes in /proc")
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_process_outlives_a_demo_that_is_ended(signum: signal.Signals, tmp_path: Path) -> None:
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    demo = subprocess.Popen([*DEMO, "--seconds", "30", "--json"], env=environment, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 20
        while len(children := children_of(demo.pid)) < 13 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert len(children) == 13, "a server and its guard, three workers, eight node processes"
        time.sleep(2)
        demo.send_signal(signum)
        code = demo.wait(20)
        assert code == (-signum if signum == signal.SIGKILL else 130)
        deadline = time.monotonic() + 20
        while any(Path(f"/proc/{pid}").exists() for pid in children) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert [pid for pid in children if Path(f"/proc/{pid}").exists()] == []
        assert list(tmp_path.iterdir()) == []
    finally:
        demo.kill()
        demo.wait()


def tally_of(*events: tuple[str, dict[str, str]], dead: tuple[str, ...] = ()) -> Tally:
    tally = Tally()
    tally.dead = dict.fromkeys(dead, "STALE_ATTEMPT")
    for number, (kind, fields) in enumerate(events, 1):
        tally.add(f"{1000 + number}-0", {"type": f"job.{kind}", "job_id": "j", **fields})
    return tally


SUBMITTED = ("submitted", {"session_id": "s", "src_lang": "en", "tgt_lang": "zh"})
DISPATCHED = ("dispatched", {"node_id": "n", "affinity": "new", "nonce": "x"})
FINISHED = ("completed", {"node_id": "n", "attempt": "1002-0-x", "status": "finished"})
FAILED = ("completed", {"node_id": "n", "attempt": "1002-0-x", "status": "failed"})
AGAIN = ("requeued", {"node_id": "n", "cause": "failed"})
FINISHED_LATER = ("completed", {"node_id": "n", "attempt": "1005-0-x", "status": "finished"})


def test_two_accepted_ends_are_two_completions() -> None:
    twice = tally_of(SUBMITTED, DISPATCHED, FINISHED, FINISHED_LATER)
    assert judged(twice, Journal(), {})["completed_twice"] == 1


def test_a_refused_or_repeated_completion_is_no_second_one() -> None:
    refused = tally_of(SUBMITTED, DISPATCHED, FINISHED, FINISHED_LATER, dead=("1004-0",))
    repeated = tally_of(SUBMITTED, DISPATCHED, FINISHED, FINISHED)
    assert judged(refused, Journal(), {})["completed_twice"] == 0
    assert judged(repeated, Journal(), {})["completed_twice"] == 0


def test_a_failure_that_is_tried_again_is_no_end_and_the_last_one_is() -> None:
    recovered = judged(tally_of(SUBMITTED, DISPATCHED, FAILED, AGAIN, DISPATCHED, FINISHED_LATER), Journal(), {})
    assert (recovered["finished"], recovered["failed"], recovered["completed_twice"]) == (1, 0, 0)
    given_up = judged(tally_of(SUBMITTED, DISPATCHED, FAILED, ("exhausted", {"cause": "failed"})), Journal(), {})
    assert (given_up["finished"], given_up["failed"], given_up["completed_twice"]) == (0, 1, 0)


@pytest.mark.parametrize(
    ("known_to_log", "status", "lost", "alive"),
    [
        (True, "running", 0, 1),
        (True, "created", 0, 1),
        (True, "None", 1, 0),
        (True, "finished", 1, 0),
        (False, "None", 1, 0),
    ],
)
def test_an_accepted_job_that_neither_ended_nor_lives_is_lost(
    known_to_log: bool, status: str, lost: int, alive: int
) -> None:
    tally = tally_of(SUBMITTED, DISPATCHED) if known_to_log else Tally()
    figures = judged(tally, Journal(accepted={"j": 1.0}), {"j": status})
    assert (figures["lost"], figures["alive"]) == (lost, alive)


def test_an_outcome_that_differs_from_the_log_is_found() -> None:
    journal = Journal(accepted={"j": 1.0}, outcomes={"j": JobResult("j", JobState.FAILED, "n", "", "")})
    assert judged(tally_of(SUBMITTED, DISPATCHED, FINISHED), journal, {})["differing_outcomes"] == 1


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"lost": 1}, "1 accepted jobs are lost"),
        ({"completed_twice": 2}, "2 jobs were completed twice"),
        ({"differing": ["job:j"]}, "1 keys differ from the fold of the log: job:j"),
        ({"submitted": 0}, "no job was submitted"),
    ],
)
def test_any_fault_makes_the_report_a_failure(report: dict[str, Any], changes: dict[str, Any], problem: str) -> None:
    assert msgspec.convert({**report, **changes}, DemoReport).problems() == [problem]


def test_percentiles_are_values_that_occurred() -> None:
    assert [percentile(list(range(1, 101)), share) for share in (0.5, 0.99, 1.0)] == [50, 99, 100]
    assert percentile([], 0.5) == 0


@pytest.mark.parametrize("seed", range(5))
def test_the_nodes_that_die_have_a_process_each_and_only_the_one_that_returns_is_depended_on(seed: int) -> None:
    fleet = plan_fleet(PAIRS, seed=seed)
    cast = Targets(fleet, hosts=8)
    assert sorted(plan.node_id for home in cast.homes for plan in home) == sorted(plan.node_id for plan in fleet)
    assert [cast.returning] in cast.homes
    assert [cast.dying] in cast.homes
    depended_on = set(lone_pairs(fleet).values())
    assert cast.returning.node_id in depended_on
    assert {cast.dying.node_id, cast.deaf.node_id}.isdisjoint(depended_on)
    assert len({cast.returning.node_id, cast.dying.node_id, cast.deaf.node_id}) == 3


@pytest.mark.parametrize(
    "options", [{"seconds": 4}, {"seconds": float("nan")}, {"speed": 0}, {"speed": -1}, {"speed": float("inf")}]
)
def test_numbers_out_of_range_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"(seconds|speed) is .*: give"):
        DemoOptions(**options)  # type: ignore[arg-type]
