"""Play every guard taken away, until the simulator notices: ``python -m tests.simulator.mutation``.

It writes the table of ``docs/testing.md``, and remembers the seed that caught each. The guards are in ``mutants``.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from ..support.planting import Bug
from .mutants import BUGS
from .run import simulate

SEEDS = Path(__file__).with_name("mutants.json")
DOCS = Path(__file__).resolve().parents[2] / "docs" / "testing.md"
BEGIN, END = "<!-- planted bugs -->", "<!-- end of planted bugs -->"
LIMIT = 3000
"""Seeds after which a bug counts as not found."""


def hints(bug: Bug, limit: int = LIMIT) -> Iterator[int]:
    """Yield the seeds to look at, the one first that caught the bug when the table was written."""
    known = json.loads(SEEDS.read_text()).get(bug.guard) if SEEDS.exists() else None
    if known is not None:
        yield known
    yield from (seed for seed in range(limit) if seed != known)


def caught(bug: Bug, seeds: Iterable[int]) -> tuple[int | None, str]:
    """Return the first seed by which the simulator notices, and what it says; ``None`` if it does not."""
    with bug.planted():
        for seed in seeds:
            if violation := simulate(seed).violation:
                return seed, violation
    return None, ""


def shortened(violation: str) -> str:
    """What a violation says, without what differs from seed to seed."""
    if not violation:
        return "nothing"
    if "simulator broke" in violation:
        violation = violation.strip().splitlines()[-1]
    text = re.sub(r"\b\d{6,}-\d+(-\w+)?", "…", violation)
    text = re.sub(r"\b(j|n|s|w|again)\d+\b", r"\1…", text)
    return re.sub(r"[{\[].*", "…", text.splitlines()[0])[:100].strip()


def row(bug: Bug) -> str:
    """What the documentation says of a bug, but for the figures."""
    return f"| {bug.guard} | {bug.fault} |"


def main() -> int:
    """Play every bug from the first seed on, and at last the one known to catch it; write the table."""
    seeds: dict[str, int] = {}
    rows = ["| guard | without it | caught at seed | as |", "| --- | --- | --- | --- |"]
    for bug in BUGS:
        seed, said = caught(bug, (*range(LIMIT), *hints(bug, 0)))
        print(f"{seed}  {bug.guard}: {shortened(said)}", flush=True)
        if seed is not None:
            seeds[bug.guard] = seed
        rows.append(f"{row(bug)} {seed} | {shortened(said)} |")
    SEEDS.write_text(json.dumps(seeds, indent=1, ensure_ascii=False) + "\n")
    text = DOCS.read_text()
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    DOCS.write_text(f"{before}{BEGIN}\n" + "\n".join(rows) + f"\n{END}{after}")
    print(f"{len(seeds)} of {len(BUGS)} caught")
    return len(BUGS) - len(seeds)


if __name__ == "__main__":
    sys.exit(main())
