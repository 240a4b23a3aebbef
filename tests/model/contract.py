"""What a log may hold: the table of the design, section 5, with the kind of each field; ``?``: may be left out."""

from __future__ import annotations

EVENTS: dict[str, str] = {
    "node.registered": "node_id:id cap_json:json pool_names_json?:pools mailbox?:id incarnation?:id request_id?:id",
    "node.heartbeat": (
        "node_id:id online:flag load_json?:json accepting?:flag room?:room trouble?:text incarnation?:id request_id?:id"
    ),
    "node.offline": "node_id:id reason?:text request_id?:id",
    "node.cordoned": "node_id:id reason?:text request_id?:id",
    "node.uncordoned": "node_id:id reason?:text request_id?:id",
    "node.drained": "node_id:id reason?:text request_id?:id",
    "node.retired": "node_id:id reason?:text request_id?:id",
    "job.submitted": (
        "session_id:id src_lang:lang tgt_lang:lang payload_json:payload job_id?:id priority?:priority deadline_ts?:ts "
        "not_before_ts?:ts max_attempts?:count affinity?:affinity reply_to?:id traceparent?:id immediate?:flag "
        "deliver?:flag carries?:entry request_id?:id"
    ),
    "job.started": "job_id:id node_id:id attempt:id room?:room",
    "job.progressed": "job_id:id node_id:id attempt:id progress_json?:json request_id?:id",
    "job.declined": "job_id:id node_id:id attempt?:id reason?:text begun?:flag room?:room request_id?:id",
    "job.completed": (
        "job_id:id node_id:id status:status attempt?:id result_json?:payload error?:text ran_ms?:ms room?:room "
        "request_id?:id"
    ),
    "job.cancelled": "job_id:id reason?:text",
    "session.released": "session_id:id request_id?:id",
    "source.admitted": (
        "source:source role:role node_id?:id rate?:amount size?:amount backlog?:amount priority?:priority "
        "jobs?:amount bytes?:amount max_age_ms?:bound pools?:text reason?:text request_id?:id"
    ),
    "source.revoked": "source:source cancel?:flag reason?:text request_id?:id",
    "scheduler.configured": (
        "heartbeat_timeout_ms?:ms accept_timeout_ms?:ms job_timeout_ms?:ms max_attempts?:count retry_backoff_ms?:ms "
        "retention_ms?:ms node_retention_ms?:ms policy?:policy max_waiting?:bound max_lag?:bound "
        "max_letters?:bound max_letters_bytes?:bound shed_memory_percent?:percent fold_version?:count request_id?:id"
    ),
    "pool.paused": "pool_id:id reason?:text request_id?:id",
    "pool.resumed": "pool_id:id reason?:text request_id?:id",
    "pair.paused": "src_lang:lang tgt_lang:lang reason?:text request_id?:id",
    "pair.resumed": "src_lang:lang tgt_lang:lang reason?:text request_id?:id",
    "letter.dropped": "letter:entry reason?:text",
}
"""From producers, nodes and operators."""

DECISIONS: dict[str, str] = {
    "job.dispatched": "job_id node_id pool_id nonce seen why affinity",
    "job.refused": "job_id code detail",
    "job.requeued": "job_id node_id cause retry_ts? refund? stalled?",
    "job.due": "job_id",
    "job.expired": "job_id",
    "job.extended": "job_id until_ts",
    "job.exhausted": "job_id cause nodes?",
    "node.expired": "node_id last_heartbeat_ts",
    "node.recovered": "node_id accepting room?",
    "node.reported": "node_id online accepting room?",
    "pool.retired": "pool_id",
    "source.limited": "source cause dropped",
    "source.retired": "source",
    "scheduler.overloaded": "cause measured bound",
    "scheduler.relieved": "cause since_ts shed",
    "scheduler.resumed": "since_ts",
    "scheduler.upgraded": "fold_version",
}
"""Written by the scheduler alone."""

CONFIG: dict[str, int] = {
    "heartbeat_timeout_ms": 30_000,
    "accept_timeout_ms": 10_000,
    "job_timeout_ms": 0,  # none
    "max_attempts": 3,
    "retry_backoff_ms": 500,
    "retention_ms": 3_600_000,
    "node_retention_ms": 86_400_000,
    "max_waiting": 5_000_000,
    "max_lag": 100_000,
    "max_letters": 100_000,
    "max_letters_bytes": 268_435_456,
    "shed_memory_percent": 90,
    "fold_version": 1,
}
"""What holds until ``scheduler.configured`` says otherwise."""

ID_BYTES = 256
ENTRY_BYTES = 41  # two numbers of 64 bits
LANG_BYTES = 35
SOURCE_BYTES = 64
SOURCE_RATE = 1000
SOURCE_SIZE = 1_200_000
SOURCE_BACKLOG = 10_000
SOURCE_JOBS = 100_000
SOURCE_AGE_MS = 86_400_000
SOURCE_PROGRESS = 4096
KEPT_JOB = 1024
KEPT_DROPS = 2048
SOURCE_POOLS = 256
SOURCE_PAIRS = 16_384
SOURCE_PAYLOADS = 268_435_456
TEXT_BYTES = 4096
JSON_BYTES = 65_536
PAYLOAD_BYTES = 1_048_576
YEAR_MS = 365 * 24 * 3_600_000
HIGHEST_PRIORITY = 100
MOST_ATTEMPTS = 1000
MOST_MISSES = 100
MOST_OF_ANYTHING = 10**12 - 1
MOST_POOLS = 64
MOST_LANGUAGES = 32
FIRST_WINDOW, LAST_WINDOW = 8, 256
MOST_ROOM = 10**6
LONGEST_RUN_MS = 3_600_000
FORGET_MS = 600_000
NO_ROOM = 1_000_000
LONGEST_PAUSE_MS = 60_000
OUTAGE_MS = 5_000
LONGEST_SLEEP_MS = 2_000  # of a worker, twice: no silence that short is an absence
REMEMBERED_REQUESTS = 8  # of those about a job
REQUEST_MS = 3_600_000  # how long the others are remembered at least
REMEMBERED_LETTERS = 100_000
REMEMBERED_NODES = 8  # of those a job has been to
PRIORITY_STEP = 2**40
