"""Guards against overload: what is shed, and what the log says of it."""

from __future__ import annotations

from ...support.planting import Bug

LOAD = [
    Bug(
        "a submission that is shed leaves nothing behind",
        "its submitter comes back, and there are two",
        "append",
        "return { 'OVERLOADED', shed_submission(scarce, now) }",
        "append_entry(flat, false) return { 'OVERLOADED', shed_submission(scarce, now) }",
    ),
    Bug(
        "where too many wait, no more are accepted",
        "they fill the server's memory",
        "decide/overload",
        "return waiting >= bound or",
        "return false and",
    ),
    Bug(
        "while memory is short, submissions are shed",
        "completions are refused with them",
        "append",
        "meta.overload.memory and 'memory' or",
        "",
    ),
    Bug(
        "it is said when there is room again",
        "submissions are shed for ever",
        "decide/overload",
        "if since and (least or most) <= bound - math.ceil(bound / 10) then",
        "if false then",
    ),
]
