"""The states of a job, as its hash holds them."""

from __future__ import annotations

import enum


class JobState(enum.StrEnum):
    """Where a job stands."""

    CREATED = "created"
    DISPATCHED = "dispatched"
    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    REFUSED = "refused"


ENDED = frozenset((JobState.FINISHED, JobState.FAILED, JobState.CANCELLED, JobState.EXPIRED, JobState.REFUSED))
"""A job in one of these never changes again."""
