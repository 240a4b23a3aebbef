"""The campaign's checker, on journals and logs made by hand: each violation is planted once, and must be found."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from . import journal
from .check import Allowance, Evidence, Verdict, check
from .journal import Journal, Line

TIMEOUT_MS = 1000
TOKEN = "1002-0-x"


def entry(ms: int, kind: str, **fields: str) -> tuple[str, dict[str, str]]:
    return f"{ms}-0", {"type": kind, **fields}


def history() -> list[tuple[str, dict[str, str]]]:
    """One job from its submission to its end."""
    return [
        entry(1000, "job.submitted", job_id="j1", session_id="s1", src_lang="en", tgt_lang="zh"),
        entry(1002, "job.dispatched", job_id="j1", node_id="n1", pool_id="p", nonce="x"),
        entry(1003, "job.started", job_id="j1", node_id="n1", attempt=TOKEN),
        entry(1004, "job.completed", job_id="j1", node_id="n1", attempt=TOKEN, status="finished"),
    ]


def sent(n: int, ts: int, *event: str, tries: int = 0) -> Line:
    return Line(do="intent", ts=ts, n=n, event=list(event), tries=tries)


def journals() -> dict[str, list[Line]]:
    """The producer of that job and its node, as they should see it."""
    submitted = ("type", "job.submitted", "job_id", "j1", "session_id", "s1", "src_lang", "en", "tgt_lang", "zh")
    completed = ("type", "job.completed", "job_id", "j1", "node_id", "n1", "attempt", TOKEN, "status", "finished")
    return {
        "producer": [
            sent(1, 1000, *submitted),
            Line(do="ack", ts=1001, n=1, id="1000-0", job=["j1", "dispatched"]),
            Line(do="reported", ts=1005, job=["j1", "finished"]),
        ],
        "node": [
            sent(1, 900, "type", "node.heartbeat", "node_id", "n1", "online", "true"),
            Line(do="ack", ts=901, n=1, id="900-0"),
            sent(2, 1004, *completed),
            Line(do="ack", ts=1004, n=2, id="1004-0"),
        ],
        "driver": [],
    }


def evidence() -> Evidence:
    entries = history()
    return Evidence(
        journals=journals(), entries=entries, dead={}, folded=len(entries), added=len(entries), differing={}
    )


def judged(found: Evidence, allowed: Allowance | None = None) -> Verdict:
    return check(found, allowed or Allowance(), TIMEOUT_MS)


def put(found: Evidence, *more: tuple[str, dict[str, str]]) -> Evidence:
    """Add entries to the log, where they belong, and count them as folded."""
    found.entries = sorted([*found.entries, *more], key=lambda one: int(one[0].split("-")[0]))
    found.folded = found.added = len(found.entries)
    return found


def without(found: Evidence, entry_id: str) -> Evidence:
    found.entries = [one for one in found.entries if one[0] != entry_id]
    found.folded = found.added = len(found.entries)
    return found


def forked(found: Evidence) -> Evidence:
    found.forked.append("999-0")
    return found


def unanswered(found: Evidence) -> Evidence:
    found.journals["node"] = found.journals["node"][:3]
    return found


def unfolded(found: Evidence) -> Evidence:
    found.folded -= 1
    return found


def vanished(found: Evidence) -> Evidence:
    """Trimmed before it was archived: added and folded once, and nowhere now."""
    found.entries = found.entries[1:]
    return found


def reversed_log(found: Evidence) -> Evidence:
    found.entries.reverse()
    return found


def differing(found: Evidence) -> Evidence:
    found.differing["job:j1"] = "live 'running', refolded 'finished'"
    return found


def damaged(found: Evidence) -> Evidence:
    found.damage.append("segment 1000-0.parquet has 5 bytes, its manifest says 900")
    return found


def refused(found: Evidence) -> Evidence:
    found.dead["1000-0"] = "JOB_CONFLICT"
    return found


def differing_outcomes(found: Evidence) -> Evidence:
    found.journals["producer"][-1].job = ["j1", "failed"]
    return found


def sent_twice(found: Evidence) -> Evidence:
    event = ("type", "session.released", "session_id", "s1", "intent", "i1")
    found.journals["producer"].append(sent(7, 1005, *event, tries=1))
    released = {"session_id": "s1", "intent": "i1"}
    return put(found, entry(1005, "session.released", **released), entry(1006, "session.released", **released))


def lost_early(found: Evidence) -> Evidence:
    return put(found, entry(1500, "node.expired", node_id="n1"))


def lost_behind_an_outage(found: Evidence) -> Evidence:
    found.journals["driver"].append(Line(do="mark", ts=9000, why="scheduler back"))
    return put(found, entry(9100, "node.expired", node_id="n1"))


def idle(found: Evidence) -> Evidence:
    """The node runs when the fault has ended, beats, and has taken nothing since."""
    found.journals["driver"] += [Line(do="mark", ts=100, why="up", who="n1"), Line(do="mark", ts=2000, why="healed")]
    found.journals["node"] += [
        sent(8, 2100, "type", "node.heartbeat", "node_id", "n1", "online", "true", "accepting", "true"),
        Line(do="ack", ts=2101, n=8, id="2101-0"),
    ]
    return found


def stopped(found: Evidence) -> Evidence:
    found.journals["driver"].append(Line(do="mark", ts=1900, why="down", who="n1"))
    return found


def busy(found: Evidence, at_ms: int) -> Evidence:
    started = ("type", "job.started", "job_id", "j1", "node_id", "n1", "attempt", TOKEN)
    found.journals["node"] += [sent(9, at_ms, *started), Line(do="ack", ts=at_ms, n=9, id="1003-0")]
    return found


def waiting(found: Evidence, *then: Line, producer: str = "listens") -> Evidence:
    """A caller waits when the fault has ended; its producer may have been killed before."""
    found.journals["producer"] += [Line(do="waits", ts=1001, job=["j2"]), *then]
    found.journals["driver"] += [Line(do="mark", ts=2000, why=producer, who="producer")]
    found.journals["driver"] += [Line(do="mark", ts=2000, why="healed")]
    return found


def told(code: str, job_id: str = "j2", ts: int = 2500) -> Line:
    return Line(do="told", ts=ts, job=[job_id], why=code)


def rebuilt_otherwise(found: Evidence) -> Evidence:
    found.rebuilt["from a snapshot, job:j1"] = "rebuilt 'running', by the model 'finished'"
    return found


SECOND = {"job_id": "j1", "node_id": "n2", "pool_id": "p", "nonce": "y"}
LATE = {"job_id": "j1", "node_id": "n2", "attempt": "1003-5-y", "status": "finished"}

VIOLATIONS: dict[str, tuple[str, Callable[[], Evidence]]] = {
    "an acknowledged submission is gone": ("I1", lambda: without(evidence(), "1000-0")),
    "an acknowledged completion is gone": ("I1", lambda: without(evidence(), "1004-0")),
    "an acknowledged submission was buried": ("I1", lambda: refused(evidence())),
    "another node's completion is accepted": ("I2", lambda: put(evidence(), entry(1005, "job.completed", **LATE))),
    "a lost attempt's completion is accepted": (
        "I2",
        lambda: put(
            without(evidence(), "1004-0"),
            entry(1005, "job.requeued", job_id="j1", node_id="n1", cause="node lost"),
            entry(1006, "job.dispatched", job_id="j1", node_id="n2", pool_id="p", nonce="y"),
            entry(1007, "job.completed", job_id="j1", node_id="n1", attempt=TOKEN, status="finished"),
        ),
    ),
    "a start under a stale attempt is accepted": (
        "I2",
        lambda: put(evidence(), entry(1005, "job.started", job_id="j1", node_id="n1", attempt="0-0-old")),
    ),
    "an ended job ends otherwise": ("I2", lambda: put(evidence(), entry(1005, "job.cancelled", job_id="j1"))),
    "an ended job waits again": (
        "I2",
        lambda: put(evidence(), entry(1005, "job.requeued", job_id="j1", node_id="n1", cause="node lost")),
    ),
    "a producer got another outcome": ("I2", lambda: differing_outcomes(evidence())),
    "an event without its fields is accepted": (
        "I3",
        lambda: put(evidence(), entry(1005, "job.dispatched", job_id="j1")),
    ),
    "the state is not the fold of the log": ("I3", lambda: differing(evidence())),
    "an entry was not folded": ("I4", lambda: unfolded(evidence())),
    "an entry is neither in the log nor in the archive": ("I4", lambda: vanished(evidence())),
    "the ids do not rise": ("I4", lambda: reversed_log(evidence())),
    "a held job goes to a second node": ("I5", lambda: put(evidence(), entry(1003, "job.dispatched", **SECOND))),
    "an ended job goes to a node": ("I5", lambda: put(evidence(), entry(1005, "job.dispatched", **SECOND))),
    "an accepted job has no end": (
        "I6",
        lambda: put(evidence(), entry(1005, "job.submitted", job_id="j2", session_id="s1")),
    ),
    "a node that accepts takes no job after the fault": ("I7", lambda: idle(evidence())),
    "a node takes a job too long after the fault": ("I7", lambda: busy(idle(evidence()), 32_001)),
    "a caller waits through the fault and is told nothing": ("I7", lambda: waiting(evidence())),
    "a caller is told too late": ("I7", lambda: waiting(evidence(), told("UNREACHABLE", ts=32_001))),
    "a caller is told of a loss that the log does not know": (
        "I7",
        lambda: waiting(evidence(), told("UNKNOWN_JOB", "j1")),
    ),
    "an archive is rebuilt to another state": ("I8", lambda: rebuilt_otherwise(evidence())),
    "one XADD gave two entries": ("once", lambda: sent_twice(evidence())),
    "a beating node is lost": ("expiry", lambda: lost_early(evidence())),
    "an outage loses a node": ("expiry", lambda: lost_behind_an_outage(evidence())),
    "the archive is damaged": ("archive", lambda: damaged(evidence())),
    "the log has lost what the archive holds": ("archive", lambda: forked(evidence())),
}


def test_a_run_in_which_all_is_well_has_no_violation() -> None:
    verdict = judged(evidence())
    assert verdict.violations == []
    assert verdict.lost == []
    assert verdict.figures["finished"] == 1


@pytest.mark.parametrize("what", VIOLATIONS)
def test_the_checker_finds_it_when(what: str) -> None:
    rule, make = VIOLATIONS[what]
    assert rule in {breach.rule for breach in judged(make()).violations}


HARMLESS: dict[str, Callable[[], Evidence]] = {
    "a submission is repeated": lambda: put(evidence(), entry(1005, "job.submitted", job_id="j1", session_id="s1")),
    "a completion is repeated": lambda: put(
        evidence(), entry(1005, "job.completed", job_id="j1", node_id="n1", attempt=TOKEN, status="finished")
    ),
    "a decline is repeated under its request_id, when another node has the job": lambda: put(
        unanswered(without(evidence(), "1004-0")),
        entry(1004, "job.declined", job_id="j1", node_id="n1", attempt=TOKEN, request_id="r1"),
        entry(1005, "job.requeued", job_id="j1", node_id="n1", cause="declined: full"),
        entry(1006, "job.dispatched", job_id="j1", node_id="n2", pool_id="p", nonce="y"),
        entry(1007, "job.declined", job_id="j1", node_id="n1", attempt=TOKEN, request_id="r1"),
        entry(1008, "job.completed", job_id="j1", node_id="n2", attempt="1006-0-y", status="finished"),
    ),
    "a failure is tried again": lambda: put(
        without(evidence(), "1004-0"),
        entry(1004, "job.completed", job_id="j1", node_id="n1", attempt=TOKEN, status="finished"),
        entry(1010, "job.submitted", job_id="j2", session_id="s1"),
        entry(1011, "job.dispatched", job_id="j2", node_id="n1", pool_id="p", nonce="x"),
        entry(1012, "job.completed", job_id="j2", node_id="n1", attempt="1011-0-x", status="failed"),
        entry(1013, "job.requeued", job_id="j2", node_id="n1", cause="failed"),
        entry(1014, "job.dispatched", job_id="j2", node_id="n1", pool_id="p", nonce="x"),
        entry(1015, "job.completed", job_id="j2", node_id="n1", attempt="1014-0-x", status="finished"),
        entry(1016, "job.completed", job_id="j2", node_id="n1", attempt="1011-0-x", status="failed"),
    ),
    "a node takes a job soon after the fault": lambda: busy(idle(evidence()), 2200),
    "a node that was stopped for good takes no job": lambda: stopped(idle(evidence())),
    "a caller is told of an error soon after the fault": lambda: waiting(evidence(), told("UNREACHABLE")),
    "a caller has left": lambda: waiting(evidence(), Line(do="left", ts=1500, job=["j2"])),
    "a caller waits in a producer that was killed": lambda: waiting(evidence(), producer="killed"),
    "a caller is told of a loss that is one": lambda: waiting(evidence(), told("UNKNOWN_JOB")),
    "a node is lost that said nothing for long": lambda: put(evidence(), entry(1900, "node.expired", node_id="n1")),
}


@pytest.mark.parametrize("what", HARMLESS)
def test_the_checker_says_nothing_when(what: str) -> None:
    assert judged(HARMLESS[what]()).violations == []


def test_what_a_fault_may_cost_is_counted_and_is_no_violation() -> None:
    gone = without(evidence(), "1004-0")
    verdict = judged(gone, Allowance(lost=True, stall=True))
    assert verdict.violations == []
    assert len(verdict.lost) == 1


def test_where_the_newest_may_be_lost_nothing_may_go_missing_out_of_the_middle() -> None:
    found = without(evidence(), "1000-0")
    found.journals["driver"].append(Line(do="mark", ts=2000, why="cut"))
    rules = [breach.rule for breach in judged(found, Allowance(lost=True, stall=True)).violations]
    assert "I1" in rules


def test_a_stopped_node_is_measured_from_its_stop_to_the_fact() -> None:
    found = put(evidence(), entry(2500, "node.expired", node_id="n1"))
    found.journals["driver"] += [
        Line(do="mark", ts=1200, why="down", who="n1"),
        Line(do="mark", ts=9000, why="up", who="n1"),
    ]
    assert judged(found).detection_ms == [1300]


def test_an_intent_without_an_answer_is_a_doubt() -> None:
    found = evidence()
    found.journals["producer"].append(sent(9, 1010, "type", "session.released", "session_id", "s1"))
    assert judged(found).figures["doubts"] == 1


def test_a_journal_outlives_a_kill_in_the_middle_of_a_line(tmp_path: Path) -> None:
    kept = Journal(tmp_path / "p.journal")
    n = kept.intent(["type", "job.submitted", "job_id", "j1", "payload_json", "{}"], tries=1)
    kept.ack(n, "5-0", ("j1", "created"))
    with kept.path.open("ab") as file:
        file.write(b'{"do":"intent","ts":7')
    intent, ack = journal.read(kept.path)
    assert intent.event == ["type", "job.submitted", "job_id", "j1"]
    assert (ack.n, ack.id) == (n, "5-0")
