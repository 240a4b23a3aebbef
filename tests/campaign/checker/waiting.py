"""I7: soon after a fault each node takes jobs again, and each caller that waited through it has been told."""

from __future__ import annotations

from collections.abc import Mapping

from .journal import Line, answered, fields_of, marks
from .story import Story

WITHIN_MS = 30_000

HEALED = "healed"
LISTENS = "listens"
"""Marks of the driver: the fault has ended; a producer lives then, whose callers can be told."""

Journals = Mapping[str, list[Line]]


def idle_nodes(journals: Journals) -> list[str]:
    """Name the nodes that run, and have taken no job within the bound after the fault."""
    healed_ms = _healed(journals)
    if healed_ms is None:
        return []
    running = {line.who: line.why == "up" for line in marks(journals) if line.why in ("up", "down")}
    took: dict[str, int] = {}
    says: dict[str, str] = {}
    for _, sent, ack in answered(journals, "ack"):
        fields = fields_of(sent.event)
        if ack.ts <= healed_ms:
            continue
        if fields["type"] == "job.started":
            took[fields["node_id"]] = min(ack.ts, took.get(fields["node_id"], ack.ts))
        elif fields["type"] == "node.heartbeat":
            accepts = fields["online"] == "true" and fields.get("accepting") != "false"
            says[fields["node_id"]] = "accepts" if accepts else f"accepts nothing: {fields.get('trouble', '')}"
    return [
        f"{node_id} took no job after the fault; it {says.get(node_id, 'says nothing')}"
        for node_id, is_running in sorted(running.items())
        if is_running and took.get(node_id, 2**62) > healed_ms + WITHIN_MS
    ]


def waiting_callers(journals: Journals) -> list[str]:
    """Name the callers that waited when the fault ended, and were told nothing within the bound."""
    healed_ms = _healed(journals)
    if healed_ms is None:
        return []
    found = []
    for who in [line.who for line in marks(journals) if line.why == LISTENS]:
        lines = journals.get(who, [])
        ended = {line.job[0]: line.ts for line in lines if line.do in ("reported", "told", "left")}
        found += [
            f"{who} waits for job {line.job[0]} since {line.ts}, and was told nothing"
            for line in lines
            if line.do == "waits" and line.ts <= healed_ms and ended.get(line.job[0], 2**62) > healed_ms + WITHIN_MS
        ]
    return found


def told_of_a_loss(journals: Journals, story: Story) -> list[str]:
    """Name the callers that were told of a loss of their job which the log does not know."""
    return [
        f"{who} was told {line.why} of job {line.job[0]}, and the log holds it"
        for who, lines in journals.items()
        for line in lines
        if line.do == "told" and line.why == "UNKNOWN_JOB" and line.job[0] in story.jobs
    ]


def _healed(journals: Journals) -> int | None:
    return next((line.ts for line in marks(journals) if line.why == HEALED), None)
