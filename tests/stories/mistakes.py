"""Mistakes in what a fold or a decision counts: the simulator's table takes whole guards away, these miss by little."""

from __future__ import annotations

from ..support.planting import Bug

MISTAKES = [
    Bug("a job is kept for its retention", "it is kept a moment longer", "state/ended", "> at then", ">= at then"),
    Bug(
        "a node that has begun all it was given is trusted with more",
        "its window stays as it is",
        "state/node",
        "room.window = room.window * 2",
        "room.window = room.window",
    ),
    Bug(
        "a job whose end tells that it began did not begin before it was sent",
        "it may have",
        "job.completed",
        "math.max(at - tonumber(ran_ms), tonumber(match(job.attempt, '^%d+')))",
        "at - tonumber(ran_ms)",
    ),
    Bug("a job whose end tells that it began was begun", "only ended", "job.completed", "start_in_flight(node_id)", ""),
    Bug("what stands begun is not begun once more", "it is", "job.completed", "and job.status == 'dispatched'", ""),
    Bug(
        "an attempt that never began is given back",
        "it counts",
        "job.requeued",
        "'attempts', job.attempts - 1)",
        "'attempts', job.attempts)",
    ),
    Bug(
        "what a full node hands back is no miss",
        "it is",
        "job.requeued",
        "if cause ~= 'declined: full' then -- which",
        "if true then -- which",
    ),
    Bug(
        "a node that says an attempt may have begun is believed", "it is not", "job.declined", "begun == 'true' or", ""
    ),
    Bug("a node that takes nothing begins small again", "with 16", "job.requeued", "'window', '8'", "'window', '16'"),
    Bug(
        "a submission with another priority is another one",
        "it is lost silently",
        "state/repeat",
        "if field ~= 'reply_to' and",
        "if field ~= 'reply_to' and field ~= 'priority' and",
    ),
    Bug(
        "a full node that accepts is asked for twice as much and one more",
        "one that held nothing is asked no more",
        "state/node",
        "tonumber(full_at) * 2 + 1",
        "tonumber(full_at) * 2",
    ),
    Bug(
        "a job is tried as often as it may be",
        "once more",
        "state/job_end",
        "tonumber(v[1] or 0) <",
        "tonumber(v[1] or 0) <=",
    ),
    Bug(
        "the nodes a job has been to are remembered",
        "only the last",
        "state/job",
        "#kept > 8 and #kept - 7",
        "#kept > 1 and #kept",
    ),
    Bug("a job that is due waits for a node", "it waits for a timer", "state/queue", "until_ts > at", "until_ts >= at"),
    Bug("a cordoned node gets no job", "it does", "state/index", "and v[3] == 'false'", ""),
    Bug(
        "a session stays on a node that may receive jobs",
        "on any that is online",
        "decide/choose_node",
        "if v[4] == 'true' then",
        "if v[1] == 'true' then",
    ),
    Bug("no more jobs wait than may", "one more", "decide/overload", "waiting >= bound or", "waiting > bound or"),
    Bug(
        "overload ends a tenth below where it began",
        "it flaps",
        "decide/overload",
        "waiting > bound - math.ceil(bound / 10)",
        "waiting > bound",
    ),
    Bug(
        "a job that does not wait is not shed for those that do",
        "it is",
        "job.submitted",
        "if immediate ~= 'true' and waiting_is_full() then",
        "if waiting_is_full() then",
    ),
    Bug(
        "what a node says of a job twice counts once", "twice", "state/repeat", "if not request_id then", "if true then"
    ),
]
