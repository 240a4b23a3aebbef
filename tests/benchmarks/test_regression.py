"""The guard against what gets slower: what it makes of figures and of what was recorded of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.harness.figures import Figure
from benchmarks.regression import BAD, GUARDED, ROUNDS, Recording, compare, confirmed, load, record, save


def figure(*values: float, unit: str = "x XADD", at_most: bool = False, name: str = "folded") -> Figure:
    return Figure(name, unit, at_most=at_most, values=list(values))


def of_medians(*medians: float, unit: str = "x XADD", at_most: bool = False) -> Figure:
    """What was recorded in as many comparisons."""
    return figure(*(value for value in medians for _ in range(ROUNDS)), unit=unit, at_most=at_most)


RATE = of_medians(0.40, 0.44, 0.50)  # more is better
COST = of_medians(2.5, 2.8, 3.0, unit="x", at_most=True)  # less is better
SIZE = figure(1182, 1182, unit="bytes", at_most=True)  # without any noise of its own


@pytest.mark.parametrize(
    ("then", "now", "verdict"),
    [
        (RATE, figure(0.44), "within noise"),
        (RATE, figure(0.38), "within noise"),  # worse than any, but not by far
        (RATE, figure(0.37), "slower"),
        (RATE, figure(0.30, 0.44, 0.45), "within noise"),  # one bad round is not the median
        (RATE, figure(0.30, 0.31, 0.45), "slower"),
        (RATE, figure(0.56), "faster"),
        (COST, figure(2.8, unit="x", at_most=True), "within noise"),
        (COST, figure(3.05, unit="x", at_most=True), "within noise"),
        (COST, figure(3.3, unit="x", at_most=True), "slower"),
        (COST, figure(2.2, unit="x", at_most=True), "faster"),
        (SIZE, figure(1200, unit="bytes", at_most=True), "within noise"),
        (SIZE, figure(1400, unit="bytes", at_most=True), "slower"),
        (SIZE, figure(900, unit="bytes", at_most=True), "faster"),
        (RATE, figure(0.44, name="another"), "gone"),
        (figure(1.0, name="another"), RATE, "new"),
    ],
)
def test_a_figure_is_slower_only_beyond_the_noise_it_was_recorded_with(then: Figure, now: Figure, verdict: str) -> None:
    assert verdict in [row.verdict for row in compare(record([then]), [now])]


def test_one_bad_round_is_no_noise_of_a_median() -> None:
    (kept,) = record([figure(*[1.0] * ROUNDS, 9.0, *[1.1] * (ROUNDS - 1))]).values()
    assert (kept.min, kept.max) == (1.0, 1.1)


def test_only_what_seems_slower_twice_is_slower() -> None:
    then = record([figure(1.0, name=name) for name in ("once", "twice", "never")])
    first = compare(then, [figure(v, name=n) for n, v in (("once", 0.5), ("twice", 0.5), ("never", 1.0))])
    second = compare(then, [figure(v, name=n) for n, v in (("once", 1.0), ("twice", 0.6), ("never", 0.5))])
    found = {row.name: row.verdict for row in confirmed(first, second)}
    assert found == {"once": "within noise", "twice": "slower", "never": "within noise"}


def test_slower_and_missing_figures_come_first_and_fail() -> None:
    then = record([figure(1.0, name=name) for name in ("same", "slow", "lost", "fast")])
    rows = compare(then, [figure(value, name=name) for name, value in (("same", 1.0), ("fast", 2.0), ("slow", 0.5))])
    assert [(row.name, row.verdict) for row in rows] == [
        ("slow", "slower"),
        ("lost", "gone"),
        ("fast", "faster"),
        ("same", "within noise"),
    ]
    assert [row.name for row in rows if row.verdict in BAD] == ["slow", "lost"]


def test_what_says_something_of_this_machine_alone_is_not_compared() -> None:
    assert record([figure(18_000, unit="jobs/s"), figure(51, unit="MiB peak"), figure(9, unit="ms")]) == {}


def test_a_recording_is_read_as_it_was_saved_and_its_absence_names_the_remedy(tmp_path: Path) -> None:
    file = tmp_path / "baseline.json"
    with pytest.raises(SystemExit, match="--record"):
        load(file)
    recording = Recording("valkey 9.1.2", "2 cores", 9, record([RATE, COST, SIZE]))
    save(recording, file)
    assert load(file) == recording
    file.write_text("{}")
    with pytest.raises(SystemExit, match="--record"):
        load(file)


def test_the_recording_in_the_repository_holds_figures_of_all_that_is_guarded() -> None:
    names = "\n".join(load().figures)
    outcome = {"cpu_cost": "server CPU: whole job", "memory": "memory per job"}
    assert [outcome[part] in names for part in GUARDED] == [True] * len(GUARDED)
