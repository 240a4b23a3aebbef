"""The states of a job, as its hash holds them."""

from __future__ import annotations

import enum


class JobState(enum.StrEnum):
    """Status of a job."""

    CREATED = "created"
    DISPATCHED = "dispatched"
    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    REFUSED = "refused"


ENDED = frozenset((JobState.FINISHED, JobState.FAILED, JobState.CANCELLED, JobState.EXPIRED, JobState.REFUSED))
"""A job with one of these never changes again."""
