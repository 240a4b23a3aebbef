"""The checker: decides from journals, log and archive alone whether a run kept what is promised."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from itertools import pairwise

import msgspec

from streamsched.contract.entries import position

from ..processes.stranger import NODE_ID
from .journal import Line, answered, fields_of, marks
from .story import Breach, Story
from .waiting import idle_nodes, told_of_a_loss, waiting_callers


class Evidence(msgspec.Struct, kw_only=True):
    """Everything that the checker may look at."""

    journals: dict[str, list[Line]]
    """By process."""
    entries: list[tuple[str, dict[str, str]]]
    """The history, oldest first: the archive, and the log behind it."""
    dead: dict[str, str]
    """Entries of the log that were refused, with their codes."""
    folded: int
    """Entries the live partition says it has folded."""
    added: int
    """Entries the live log says it has taken in."""
    differing: dict[str, str]
    """Keys at which the live state is not the fold of the history, with what differs."""
    rebuilt: dict[str, str] = {}
    """Keys at which a rebuild from the archive is not the fold of what it holds, with what differs."""
    damage: list[str] = []
    """What is wrong with the archive: its chain, its rows, or where it contradicts the log."""
    forked: list[str] = []
    """Entries that the archive holds and the log has lost; they are no part of the history."""
    archived: int = 0
    """Entries that came from the archive."""


class Allowance(msgspec.Struct, kw_only=True, frozen=True):
    """What a fault may cost under the setting it is played with."""

    lost: bool = False
    """Acknowledged entries may be gone: the newest ones, none out of the middle."""
    stall: bool = False
    """Jobs may be without an end: they were held by whom the fault took for good."""


class Verdict(msgspec.Struct, kw_only=True):
    """What the checker found."""

    violations: list[Breach] = []
    lost: list[str] = []
    """Acknowledged entries that neither log nor archive holds."""
    figures: dict[str, int] = {}
    detection_ms: list[int] = []
    """For each node that was stopped, from its stop to the fact that says so."""


def check(evidence: Evidence, allowed: Allowance, timeout_ms: int) -> Verdict:
    """Judge a run.

    Args:
        evidence: journals, log and archive.
        allowed: what the fault may cost.
        timeout_ms: ``heartbeat_timeout_ms`` of the run.
    """
    story = Story()
    for entry_id, fields in evidence.entries:
        if entry_id not in evidence.dead:
            try:
                story.add(entry_id, fields)
            except KeyError as missing:
                story.breaches.append(Breach("I3", f"{entry_id}: accepted, though it has no {missing}"))
    breaches = list(story.breaches)
    breaches += [Breach("archive", text) for text in evidence.damage]
    if not allowed.lost:
        breaches += [
            Breach("archive", f"{lost}: the archive holds it, the log has lost it") for lost in evidence.forked
        ]
    breaches += _counted(evidence)
    breaches += [Breach("I3", f"{key}: {what}") for key, what in evidence.differing.items()]
    lost, unheld = _acknowledged(evidence, allowed)
    breaches += unheld
    breaches += _sent_once(evidence)
    breaches += _told(evidence, story, bool(lost) and allowed.lost)
    if not allowed.stall:
        open_jobs = [job_id for job_id, job in story.jobs.items() if not job.end]
        breaches += [Breach("I6", f"job {job_id} was accepted and has no end") for job_id in open_jobs]
    breaches += _false_expiries(evidence, story, timeout_ms)
    breaches += [Breach("I7", text) for text in idle_nodes(evidence.journals)]
    breaches += [Breach("I7", text) for text in waiting_callers(evidence.journals)]
    if not allowed.lost:
        breaches += [Breach("I7", text) for text in told_of_a_loss(evidence.journals, story)]
    breaches += [Breach("I8", f"{key}: {what}") for key, what in evidence.rebuilt.items()]
    return Verdict(
        violations=breaches, lost=lost, figures=_figures(evidence, story), detection_ms=_detections(evidence, story)
    )


def _counted(evidence: Evidence) -> list[Breach]:
    found = []
    if evidence.folded != evidence.added:
        found.append(Breach("I4", f"{evidence.added} entries were added, {evidence.folded} were folded"))
    if len(evidence.entries) != evidence.added:
        found.append(
            Breach("I4", f"{evidence.added} entries were added, log and archive hold {len(evidence.entries)} of them")
        )
    ids = [position(entry_id) for entry_id, _ in evidence.entries]
    if any(one >= other for one, other in pairwise(ids)):
        found.append(Breach("I4", "the ids of log and archive do not rise"))
    return found


def _acknowledged(evidence: Evidence, allowed: Allowance) -> tuple[list[str], list[Breach]]:
    """Find the acknowledged entries that are gone; and say which of them may not be.

    Where some may, they are the newest of what was acknowledged before the cut: nothing goes missing out of the middle.
    """
    held = dict(evidence.entries)
    cut_ms = max((line.ts for line in marks(evidence.journals) if line.why == "cut"), default=0)
    lost: list[tuple[str, str]] = []
    breaches, newest_kept = [], "0-0"
    for who, sent, ack in answered(evidence.journals, "ack"):
        fields = fields_of(sent.event)
        if fields["type"] == "node.heartbeat":
            continue  # beats are no part of the log
        there = held.get(ack.id)
        if there is None or any(there.get(name) != text for name, text in fields.items()):
            lost.append((ack.id, f"{ack.id}: {fields['type']} {_subject(fields)}, acknowledged to {who}"))
        elif ack.id in evidence.dead:
            breaches.append(Breach("I1", f"{ack.id}: acknowledged to {who}, but refused: {evidence.dead[ack.id]}"))
        elif ack.ts <= cut_ms and position(ack.id) > position(newest_kept):
            newest_kept = ack.id
    for entry_id, text in lost:
        if not allowed.lost:
            breaches.append(Breach("I1", f"{text}, is neither in the log nor in the archive"))
        elif position(entry_id) < position(newest_kept):
            breaches.append(Breach("I1", f"{text}, is gone, but the younger {newest_kept} is not"))
    return [text for _, text in lost], breaches


def _sent_once(evidence: Evidence) -> list[Breach]:
    """An event without an identity may be in the log no more often than it was sent."""
    found = Counter(fields["intent"] for _, fields in evidence.entries if "intent" in fields)
    breaches = []
    for who, lines in evidence.journals.items():
        for line in lines:
            intent = fields_of(line.event).get("intent") if line.do == "intent" and line.tries else None
            if intent is not None and found[intent] > line.tries:
                text = f"{who} sent {intent} {line.tries} times, the log holds it {found[intent]} times"
                breaches.append(Breach("once", text))
    return breaches


def _told(evidence: Evidence, story: Story, some_lost: bool) -> list[Breach]:
    breaches = []
    for who, lines in evidence.journals.items():
        for line in lines:
            if line.do != "reported":
                continue
            job = story.jobs.get(line.job[0])
            if (job is None or job.end != line.job[1]) and not some_lost:
                end = "does not know it" if job is None else f"says {job.end or 'nothing yet'}"
                breaches.append(
                    Breach("I2", f"{who} got the outcome that job {line.job[0]} is {line.job[1]}, the log {end}")
                )
    return breaches


def _false_expiries(evidence: Evidence, story: Story, timeout_ms: int) -> list[Breach]:
    """A node may be lost only when it has been silent for the timeout; it has another one behind a long absence of the
    scheduler, which the driver marks."""
    driven = marks(evidence.journals)
    if any(line.why == "clock" for line in driven):
        return []  # the clock of the beats was set: the fault itself says what must hold
    beats: dict[str, list[int]] = {}
    for _, sent, ack in answered(evidence.journals, "ack"):
        fields = fields_of(sent.event)
        if fields["type"] == "node.heartbeat" and fields["online"] == "true":
            beats.setdefault(fields["node_id"], []).append(int(ack.id.split("-")[0]))
    back = [line.ts for line in driven if line.why == "scheduler back"]
    breaches = []
    for at_ms, node_id in story.expired_nodes:
        if node_id == NODE_ID:
            continue  # there is no journal of the beats of a stranger
        since = max((ts for ts in [*beats.get(node_id, []), *back] if ts <= at_ms), default=0)
        if at_ms - since < timeout_ms:
            text = f"{node_id} was lost at {at_ms}, only {at_ms - since} ms after it was heard, or could be"
            breaches.append(Breach("expiry", text))
    return breaches


def _detections(evidence: Evidence, story: Story) -> list[int]:
    """For each node that was taken down: how long the log took to say so, unless it came back before."""
    found = []
    driven = marks(evidence.journals)
    for line in driven:
        if line.why != "down" or not line.who:
            continue
        back = min((m.ts for m in driven if m.why == "up" and m.who == line.who and m.ts > line.ts), default=2**62)
        noticed = [ts for ts, node_id in story.expired_nodes if node_id == line.who and line.ts <= ts < back]
        if noticed:
            found.append(noticed[0] - line.ts)
    return found


def _figures(evidence: Evidence, story: Story) -> dict[str, int]:
    lines = [line for journal in evidence.journals.values() for line in journal]
    answered = {(who, line.n) for who, journal in evidence.journals.items() for line in journal if line.do == "ack"}
    refused = {(who, line.n) for who, journal in evidence.journals.items() for line in journal if line.do == "refused"}
    intents = {(who, line.n) for who, journal in evidence.journals.items() for line in journal if line.do == "intent"}
    ends = Counter(job.end or "open" for job in story.jobs.values())
    return {
        "events": len(evidence.entries),
        "archived": evidence.archived,
        "dead": len(evidence.dead),
        "jobs": len(story.jobs),
        "intents": len(intents),
        "acknowledged": len(answered),
        "refused": len(refused),
        "doubts": len(intents - answered - refused),
        "reported": sum(line.do == "reported" for line in lines),
        "nodes_lost": len(story.expired_nodes),
        **dict(sorted(ends.items())),
    }


def _subject(fields: Mapping[str, str]) -> str:
    return fields.get("job_id") or fields.get("node_id") or fields.get("session_id", "")
