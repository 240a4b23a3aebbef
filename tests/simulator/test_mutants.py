"""Every guard, taken away: the simulator notices, and the page says so."""

from __future__ import annotations

import pytest

from ..support.planting import Bug
from .mutants import BUGS
from .mutation import BEGIN, DOCS, END, caught, hints, row


@pytest.mark.parametrize("bug", BUGS, ids=[bug.guard for bug in BUGS])
def test_the_simulator_notices_when_a_guard_is_taken_away(bug: Bug) -> None:
    seed, violation = caught(bug, hints(bug))
    assert seed is not None, f"no seed finds that {bug.fault}"
    assert violation


def test_the_page_lists_every_planted_bug() -> None:
    table = DOCS.read_text().split(BEGIN)[1].split(END)[0]
    rows = [line for line in table.splitlines() if line.startswith("| ")][2:]
    assert [line.startswith(row(bug)) for line, bug in zip(rows, BUGS, strict=True)] == [True] * len(BUGS)
