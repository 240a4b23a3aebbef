"""What streamsched writes for its clients: assignments in an inbox, outcomes in a reply stream, dead letters. ``?``
marks an optional field."""

from __future__ import annotations

JOB = {
    "job_id": "The job.",
    "node_id": "The node that the entry is for; nodes may share a mailbox.",
    "attempt": "The token of this attempt; send it with every event about it.",
}

INBOX: dict[str, dict[str, str]] = {
    "job.assigned": {
        **JOB,
        "session_id": "The session of the job.",
        "src_lang": "Language to translate from.",
        "tgt_lang": "Language to translate to.",
        "payload_json": "The payload, as submitted.",
        "attempts": "The number of this attempt, from 1.",
        "accept_by_ts?": "Send `job.started` or `job.declined` before this time (ms since the epoch).",
        "deadline_ts?": "The job's deadline, ms since the epoch.",
        "traceparent?": "Trace context, as submitted.",
    },
    "job.cancelled": {
        **JOB,
        "reason": "Why the node no longer holds the job: stop it, and send no more events about it.",
    },
    "node.superseded": {
        "node_id": "The node.",
        "incarnation": "The incarnation of the process that registered later. Every other process of the node must "
        "stop: it sends no more events, and no goodbye.",
    },
    "node.drained": {"node_id": "The node, which must decline the jobs that it has not started: `job.declined`."},
}
"""The entries of ``inbox:<mailbox>``, by their ``type``."""

OUTCOME: dict[str, str] = {
    "job_id": "The job.",
    "status": "`finished`, `failed`, `cancelled`, `expired` or `refused`.",
    "node_id": "The last node that held the job; may be empty.",
    "result_json": "The result; empty unless the job finished.",
    "error": "The error; empty if the job finished.",
}
"""An entry of ``reply:<reply_to>``: a job's end."""

LETTER: dict[str, str] = {
    "id": "The id of the refused entry in its stream.",
    "stream": "`events`, `heartbeats` or `in:<source>`.",
    "code": "The error code; see the table below.",
    "reason": "The reason in full, with the field and the remedy.",
}
"""An entry of ``dead``; the fields of the refused event follow."""
