"""Guards of time: no limit runs out early for a client that could have kept it."""

from __future__ import annotations

from ...support.planting import Bug

TIME = [
    Bug(
        "an absence of the scheduler is noticed",
        "it expires nodes and takes jobs away that could not have been kept",
        "decide/absence",
        "if not was_away(now - since) then",
        "if true then",
    ),
    Bug(
        "a limit that ran out in an absence restarts",
        "jobs are taken away",
        "decide/timers",
        "due_ts > meta.resumed_since_ts and due_ts <= meta.resumed_ts",
        "false",
    ),
    Bug(
        "a second absence does not take back what the first one gave",
        "jobs are taken away for a limit that ran out while no call ran",
        "decide/absence",
        "if rcall('ZCOUNT', timers, '(' .. since_text, format('%.0f', meta.resumed_ts)) == 0 then",
        "if true then",
    ),
    Bug(
        "a sweep of time limits looks whether one has run out",
        "jobs are taken from nodes that could have kept them",
        "decide/timers",
        "    if due_ts > now then\n      return\n    end\n",
        "",
    ),
    Bug(
        "a node's silence counts from a rebuild",
        "nodes are expired whose beats went with the state",
        "decide/nodes",
        "meta.resumed_ts, meta.rebuilt_ts",
        "meta.resumed_ts",
    ),
    Bug(
        "a node's silence counts from the end of an absence",
        "nodes are expired whose heartbeats were not read",
        "decide/nodes",
        "meta.resumed_ts, meta.rebuilt_ts",
        "meta.rebuilt_ts",
    ),
    Bug(
        "a beat is heard before its node is expired",
        "a node that lives is expired",
        "decide/nodes",
        "tonumber(v[1] or 0)",
        "0",
    ),
    Bug(
        "a beat of before says nothing of now",
        "a node that has left is online again",
        "node.heartbeat",
        "elseif at >= since_ts then",
        "else",
    ),
]
