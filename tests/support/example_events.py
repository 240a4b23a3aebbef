"""One example of every event of the contract, for a partition in which node n1 holds job j1, and n0 is gone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from streamsched.contract.events import (
    Event,
    JobCancelled,
    JobCompleted,
    JobDeclined,
    JobProgressed,
    JobStarted,
    JobStatus,
    JobSubmitted,
    LetterDropped,
    NodeCordoned,
    NodeDrained,
    NodeHeartbeat,
    NodeOffline,
    NodeRegistered,
    NodeRetired,
    NodeUncordoned,
    PairPaused,
    PairResumed,
    PoolPaused,
    PoolResumed,
    SchedulerConfigured,
    SessionReleased,
    SourceAdmitted,
    SourceRevoked,
    SourceRole,
)

Example = Callable[[str, str], Event]
"""Made of the attempt under which n1 holds j1, and the id of a dead letter."""

OTHER_POOLS = '[{"id":"de-en","name":"de-en"}]'
GONE = (NodeRegistered(node_id="n0", cap_json="{}"), NodeOffline(node_id="n0"))
JOB: dict[str, Any] = {"session_id": "s2", "src_lang": "zh", "tgt_lang": "en", "payload_json": "{}"}

EXAMPLES: dict[str, Example] = {
    "node.registered": lambda attempt, letter: NodeRegistered(node_id="n1", cap_json="{}", pool_names_json=OTHER_POOLS),
    "node.heartbeat": lambda attempt, letter: NodeHeartbeat(node_id="n1", online=False),
    "node.offline": lambda attempt, letter: NodeOffline(node_id="n1"),
    "node.cordoned": lambda attempt, letter: NodeCordoned(node_id="n1"),
    "node.uncordoned": lambda attempt, letter: NodeUncordoned(node_id="n1"),
    "node.drained": lambda attempt, letter: NodeDrained(node_id="n1"),
    "node.retired": lambda attempt, letter: NodeRetired(node_id="n0"),
    "job.submitted": lambda attempt, letter: JobSubmitted(**JOB, job_id="j3"),
    "job.started": lambda attempt, letter: JobStarted(job_id="j1", node_id="n1", attempt=attempt),
    "job.progressed": lambda attempt, letter: JobProgressed(
        job_id="j1", node_id="n1", attempt=attempt, progress_json="1"
    ),
    "job.declined": lambda attempt, letter: JobDeclined(job_id="j1", node_id="n1", attempt=attempt),
    "job.completed": lambda attempt, letter: JobCompleted(
        job_id="j1", node_id="n1", status=JobStatus.FAILED, attempt=attempt
    ),
    "job.cancelled": lambda attempt, letter: JobCancelled(job_id="j1"),
    "session.released": lambda attempt, letter: SessionReleased(session_id="s1"),
    "scheduler.configured": lambda attempt, letter: SchedulerConfigured(max_attempts=5),
    "pool.paused": lambda attempt, letter: PoolPaused(pool_id="en-zh"),
    "pool.resumed": lambda attempt, letter: PoolResumed(pool_id="en-zh"),
    "pair.paused": lambda attempt, letter: PairPaused(src_lang="zh", tgt_lang="en"),
    "pair.resumed": lambda attempt, letter: PairResumed(src_lang="zh", tgt_lang="en"),
    "source.admitted": lambda attempt, letter: SourceAdmitted(source="web", role=SourceRole.PRODUCER, rate=7),
    "source.revoked": lambda attempt, letter: SourceRevoked(source="web"),
    "letter.dropped": lambda attempt, letter: LetterDropped(letter=letter),
}
