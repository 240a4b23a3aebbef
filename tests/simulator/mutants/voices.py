"""Guards of which node may report for a job."""

from __future__ import annotations

from ...support.planting import Bug

VOICES = [
    Bug(
        "only the current attempt is heard",
        "a late completion of a lost attempt ends the job",
        "state/job",
        "attempt and attempt ~= job.attempt",
        "false",
    ),
    Bug(
        "only the holder is heard",
        "a node ends a job that another holds",
        "state/job",
        "node_id ~= job.node_id",
        "false",
    ),
    Bug(
        "no node reports on a job that no node holds",
        "a job that waits is ended by its node of before",
        "state/job",
        "if not is_held(job) then",
        "if false then",
    ),
    Bug("an ended job is not ended again by its node", "it changes", "state/job", "is_terminal(job.status)", "false"),
    Bug("an ended job is not cancelled", "it changes", "job.cancelled", "is_terminal(job.status)", "false"),
    Bug(
        "a decision from outside is refused",
        "a forged one takes effect",
        "call/event",
        "fact and not decided",
        "fact and false",
    ),
    Bug(
        "an attempt is named by a nonce, too",
        "after a lost end of the log the same attempt is issued again",
        "decide/dispatch",
        "'nonce', nonce",
        "'nonce', '00000000'",
    ),
    Bug("the attempt's name holds the nonce", "the same", "job.dispatched", "id .. '-' .. nonce", "id .. '-'"),
]
