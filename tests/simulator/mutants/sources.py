"""Guards of who may say what through an ingress, and how much of it is heard."""

from __future__ import annotations

from ...support.planting import Bug

SOURCES = [
    Bug(
        "a node's source may report for its own node only",
        "any node may report for all of them",
        "ingress/source",
        "if e.node_id ~= sender.node_id then",
        "if false then",
    ),
    Bug(
        "a source does not choose what is stamped on its words",
        "it passes them off as another's",
        "ingress/read",
        "if not STAMPS[field] then",
        "if true then",
    ),
    Bug(
        "what was taken in is not taken in again",
        "after a torn call it is in the log twice",
        "ingress/read",
        "elseif not at_or_before(id, sender.last_id) then",
        "else",
    ),
    Bug(
        "a source that was revoked is not heard",
        "its words fill the log",
        "ingress/drain",
        "not sender.revoked and left > 0",
        "left > 0",
    ),
    Bug(
        "a source has only so many jobs that have not ended",
        "it fills what all share",
        "ingress/quota",
        "elseif sender.living >= sender.jobs or",
        "elseif false or",
    ),
    Bug(
        "a job of a source has a last time",
        "it keeps the log from being trimmed for ever",
        "ingress/quota",
        "return format_int(latest_ts)",
        "return e.deadline_ts",
    ),
    Bug(
        "a node's source creates pools under its own name only, unless it was granted others",
        "it takes the ids that others want to use",
        "ingress/quota",
        "if not may_create(e.source, sender, pool_id) then",
        "if false then",
    ),
    Bug(
        "a source keeps no more bytes of ended jobs than it may",
        "it fills the server",
        "state/ended",
        "return sender.kept_bytes + bytes - freed > sender.bytes and",
        "return false and",
    ),
    Bug(
        "a node's source keeps no more bytes of results than it may",
        "it fills the server",
        "ingress/quota",
        "if sender.result_bytes + bytes <= sender.bytes then",
        "if true then",
    ),
    Bug(
        "a job that is forgotten makes room for others of its source",
        "nothing of the source is kept any more",
        "state/ended",
        "plan_write('HINCRBY', key.source(name), 'result_bytes', format_int(-bytes))",
        "",
    ),
    Bug(
        "an admission ends the cancellation of jobs",
        "a source that is trusted again loses jobs",
        "source.admitted",
        ", 'jobs ' .. source)",
        ")",
    ),
    Bug(
        "a flood gets its share of a call",
        "it takes the shares of the others",
        "ingress/drain",
        "math.max(1, math.floor(left / 2 / #listed))",
        "left",
    ),
    Bug(
        "while memory is short, what a source submits waits where it is",
        "it uses up what completions need",
        "ingress/drain",
        "if meta.overload.memory and sender.role == 'producer' then",
        "if false then",
    ),
]
