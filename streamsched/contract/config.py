"""The configuration of a partition: its defaults, and the version of the fold."""

from __future__ import annotations

RETRY = "retry_of"
"""The extra field with a dead letter's id: it marks any event of the log as a retry of that letter. However often it is
sent, it takes effect once."""

FOLD_VERSION = 1
"""Version of the fold. It grows with every change that would fold an older log to another state."""

DEFAULTS: dict[str, int | str] = {
    "heartbeat_timeout_ms": 30_000,
    "accept_timeout_ms": 10_000,
    "job_timeout_ms": 0,
    "max_attempts": 3,
    "retry_backoff_ms": 500,
    "retention_ms": 3_600_000,
    "node_retention_ms": 86_400_000,
    "policy": "expected_finish",
    "max_waiting": 5_000_000,
    "max_lag": 100_000,
    "max_letters": 100_000,
    "max_letters_bytes": 268_435_456,
    "shed_memory_percent": 90,
    "fold_version": 1,
}
"""The configuration before the first ``scheduler.configured``. ``job_timeout_ms`` 0 means none. ``fold_version`` is the
highest version that operators permit, :data:`FOLD_VERSION` what this program can."""

FULL = "full"
"""The reason of a ``job.declined`` about the node and not the job: no more jobs until one ends."""
