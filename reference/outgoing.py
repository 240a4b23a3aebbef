"""What streamsched says to others: assignments in an inbox, outcomes in a reply stream, dead letters. ``?`` marks
what is not always there."""

from __future__ import annotations

JOB = {
    "job_id": "The job.",
    "node_id": "The node it is for; a mailbox may be shared.",
    "attempt": "The token to say with everything about this attempt.",
}

INBOX: dict[str, dict[str, str]] = {
    "job.assigned": {
        **JOB,
        "session_id": "The conversation it belongs to.",
        "src_lang": "Language to translate from.",
        "tgt_lang": "Language to translate to.",
        "payload_json": "What was submitted.",
        "attempts": "The how many-th attempt this is, from 1.",
        "accept_by_ts?": "Say `job.started` or `job.declined` before then, ms since the epoch, or it goes elsewhere.",
        "deadline_ts?": "The job's deadline, ms since the epoch.",
        "traceparent?": "Trace context, as submitted.",
    },
    "job.cancelled": {**JOB, "reason": "Why it is this node's no more: stop working on it, say nothing more of it."},
    "node.drained": {"node_id": "The node that is to hand back what it has not started: `job.declined`."},
}
"""The entries of ``inbox:<mailbox>``, by their ``type``."""

OUTCOME: dict[str, str] = {
    "job_id": "The job.",
    "status": "`finished`, `failed`, `cancelled`, `expired` or `refused`.",
    "node_id": "The node that held it last; may be empty.",
    "result_json": "The result; empty unless finished.",
    "error": "What went wrong; empty if finished.",
}
"""An entry of ``reply:<reply_to>``: a job's end."""

LETTER: dict[str, str] = {
    "id": "Id of the entry that was refused, in its stream.",
    "stream": "`events`, `heartbeats` or `in:<source>`.",
    "code": "Why it was refused, in one word; see the table of codes.",
    "reason": "The same in full, with the field and the remedy.",
}
"""An entry of ``dead``; the fields of the refused event stand behind these."""
