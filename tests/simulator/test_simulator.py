"""The simulator: thousands of short histories, each from a seed, in which no invariant may break."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from multiprocessing import get_context
from multiprocessing.pool import AsyncResult
from pathlib import Path

import pytest

from .campaign import PROCESSES, Figures, play
from .marks import MARKS
from .mutants import BUGS
from .mutation import hints
from .run import simulate

ROOT = Path(__file__).resolve().parents[2]
CHUNKS, SEEDS = 10, 120

Results = list["AsyncResult[Figures]"]


@pytest.fixture(scope="module")
def results() -> Iterator[Results]:
    """What the seeds come to, chunk by chunk, worked out by two processes from the first test on."""
    with get_context("spawn").Pool(PROCESSES) as pool:
        yield [pool.apply_async(play, (range(n * SEEDS, (n + 1) * SEEDS),)) for n in range(CHUNKS)]


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_no_seed_breaks_an_invariant(results: Results, chunk: int) -> None:
    figures = results[chunk].get()
    again = "".join(f"\npython -m tests.simulator --seed {seed}" for seed in figures.violations)
    assert figures.violations == {}, again
    assert figures.seeds == SEEDS


def test_every_rare_state_was_reached_by_some_seed(results: Results) -> None:
    total = Figures()
    for result in results:
        total.add(result.get())
    assert total.missing == []
    assert total.marks.keys() <= MARKS.keys()


def replied(seed: int, hash_seed: str) -> str:
    """What the command prints of a seed, in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "tests.simulator", "--seed", str(seed)],
        cwd=ROOT,
        env=os.environ | {"PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def test_a_seed_tells_the_same_story_in_every_process() -> None:
    one, other = replied(7, "1"), replied(7, "2")
    assert one == other
    assert "calm: from here on nothing goes wrong" in one


def test_a_violation_says_what_broke_and_its_seed_comes_to_the_same_again() -> None:
    bug = next(bug for bug in BUGS if bug.guard == "only the holder is heard")
    with bug.planted():
        seed = next(seed for seed in hints(bug, 500) if simulate(seed).violation)
        first, again = simulate(seed, trace=True), simulate(seed, trace=True)
    assert "by the model NODE_MISMATCH" in first.violation
    assert first == again
    assert first.trace[-1] == f"VIOLATION {first.violation}"
    assert simulate(seed).violation == ""
