"""A short campaign on real processes, and what the driver says of it; ``make campaign`` plays the whole."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from .faults.table import FAULTS
from .mutants import PLANTED, Planted
from .play import play

ROOT = Path(__file__).resolve().parents[2]


SHORT = (
    "node killed",
    "archiver killed",
    "server killed, everysec",
    "rights taken",
    "two processes with one node id",
    "FLUSHALL and a rebuild that replaces the log",
    "rebuild killed seven times",
)


@pytest.mark.parametrize("fault", SHORT)
def test_nothing_promised_is_broken_by(fault: str) -> None:
    run = play(FAULTS[fault](), seed=0)
    assert run.violations == [], f"kept in {run.folder}"
    assert run.verdict.lost == [] or FAULTS[fault].allowed.lost
    assert run.verdict.figures["jobs"] > 0
    assert run.verdict.figures["finished"] > 0


def test_every_fault_says_what_it_does_and_how_it_heals() -> None:
    for name, fault in FAULTS.items():
        assert fault.name == name
        assert fault.how
        assert fault.heal_how


def test_a_client_that_repeats_appends_by_itself_is_noticed() -> None:
    """One guard taken out of the real processes; ``python -m tests.campaign --planted`` takes out all of them."""
    planted = PLANTED["retry"]
    rules: set[str] = set()
    for seed in range(3):  # which replies are lost is drawn, and how much was under way then is not
        run = play(FAULTS[planted.under](), seed, bug="retry")
        shutil.rmtree(run.folder, ignore_errors=True)
        rules |= {breach.rule for breach in run.violations}
        if rules & set(planted.rules):
            return
    pytest.fail(f"not noticed; what was broken is {rules or 'nothing'}")


@pytest.mark.parametrize("planted", PLANTED.values(), ids=PLANTED)
def test_what_a_planted_bug_takes_out_is_there_to_be_taken(planted: Planted) -> None:
    assert planted.under in FAULTS
    assert planted.bug.changed()


def test_a_bug_that_is_planted_for_good_stays_where_it_is() -> None:
    """In a process of its own, as those of a run."""
    program = (
        "from tests.campaign.mutants import PLANTED; from streamsched.engine.composition import compose; "
        "PLANTED['holder'].bug.plant(); import gc; gc.collect(); print('NODE_MISMATCH' in compose('append'))"
    )
    reported = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert reported.stdout.strip() == "False"
