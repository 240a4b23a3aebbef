"""A short campaign on real processes, and what the driver says of it; ``make campaign`` plays the whole."""

from __future__ import annotations

import pytest

from .campaign.faults.table import FAULTS
from .campaign.play import play


@pytest.mark.parametrize("fault", ["node killed", "archiver killed", "server killed, everysec"])
def test_nothing_promised_is_broken_by(fault: str) -> None:
    run = play(FAULTS[fault](), seed=0)
    assert run.violations == [], f"kept in {run.folder}"
    assert run.verdict.lost == []
    assert run.verdict.figures["jobs"] > 0
    assert run.verdict.figures["finished"] > 0


def test_every_fault_says_what_it_does_and_how_it_heals() -> None:
    for name, fault in FAULTS.items():
        assert fault.name == name
        assert fault.how
        assert fault.heal_how
