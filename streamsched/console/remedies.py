"""What to do about a refusal, where its own text does not say: the commands that show or mend it."""

from __future__ import annotations

REMEDIES: dict[str, str] = {
    "UNKNOWN_TYPE": "docs/events.md lists the types, and completion offers them",
    "INTERNAL": "report it, with what `streamsched dead show ID` prints",
    "UNKNOWN_NODE": "`streamsched status` lists the nodes",
    "UNKNOWN_JOB": "`streamsched trace job ID` tells whether there ever was one",
    "NO_AVAILABLE_NODE": "`streamsched status` says what keeps each node from jobs",
    "NODE_SUPERSEDED": "run one process for each node id",
    "NODE_MISMATCH": "`streamsched trace job ID` tells who holds it",
    "STALE_ATTEMPT": "`streamsched trace job ID` tells who holds it",
    "ALREADY_TERMINAL": "`streamsched trace job ID` tells how it ended",
    "OVERLOADED": "`streamsched status` says of what there is too much",
    "HALTED": "a running `streamsched worker` mends it",
    "RESULT_TIMEOUT": "`streamsched trace job ID` tells where it is",
}
"""Every other code comes with a remedy in its own text."""


def with_remedy(code: str, detail: str) -> str:
    """Say what was refused, why, and what to do next."""
    return "; ".join(filter(None, (f"{code}: {detail}" if detail else code, REMEDIES.get(code))))
