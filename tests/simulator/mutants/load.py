"""Guards of too much at once: what is turned away, and what is said of it."""

from __future__ import annotations

from ...support.planting import Bug

LOAD = [
    Bug(
        "what is turned away leaves nothing behind",
        "its submitter comes back, and there are two",
        "append",
        "answers[n] = { 'OVERLOADED', turn_away(scarce, now) }",
        "append_entry(flat, false) answers[n] = { 'OVERLOADED', turn_away(scarce, now) }",
    ),
    Bug(
        "where too many wait, no more are accepted",
        "they fill the server's memory",
        "turn_away",
        "return waiting >= bound or",
        "return false and",
    ),
    Bug(
        "where memory is short, submissions are turned away",
        "completions are refused with them",
        "append",
        "meta.overload.memory and 'memory' or",
        "",
    ),
    Bug(
        "it is said when there is room again",
        "submissions are turned away for ever",
        "watch_load",
        "if since and (least or most) <= bound - math.ceil(bound / 10) then",
        "if false then",
    ),
]
