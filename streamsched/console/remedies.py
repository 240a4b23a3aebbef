"""What to do about a refusal whose text does not say it: the command that shows or repairs the cause."""

from __future__ import annotations

REMEDIES: dict[str, str] = {
    "UNKNOWN_TYPE": "docs/events.md lists the types, and completion offers them",
    "INTERNAL": "report it, with what `streamsched dead show ID` prints",
    "UNKNOWN_NODE": "`streamsched status` lists the nodes",
    "UNKNOWN_JOB": "`streamsched trace job ID` shows whether it ever existed",
    "NO_AVAILABLE_NODE": "`streamsched status` shows why each node gets no jobs",
    "NODE_SUPERSEDED": "run one process for each node id",
    "NODE_MISMATCH": "`streamsched trace job ID` shows which node holds it",
    "STALE_ATTEMPT": "`streamsched trace job ID` shows which node holds it",
    "ALREADY_TERMINAL": "`streamsched trace job ID` shows how it ended",
    "OVERLOADED": "`streamsched status` shows what there is too much of",
    "HALTED": "a running `streamsched worker` rebuilds the state",
    "RESULT_TIMEOUT": "`streamsched trace job ID` shows where it is",
}
"""The text of every other code holds its own remedy."""


def with_remedy(code: str, detail: str) -> str:
    """Return what was refused, why, and what to do next."""
    return "; ".join(filter(None, (f"{code}: {detail}" if detail else code, REMEDIES.get(code))))
