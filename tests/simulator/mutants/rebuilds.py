"""Guards of a state that is not whole: a torn call is noticed, and the log mends it."""

from __future__ import annotations

from ...support.planting import Bug

REBUILDS = [
    Bug(
        "the fence is the first write of a call",
        "a torn call is not noticed",
        "call/fence",
        "rcall('HSET', key.meta, 'begin', fence)",
        "",
    ),
    Bug(
        "a fence is never that of the call before",
        "a torn call looks like the whole one before it",
        "call/fence",
        "id == meta.done and id .. '\\'' or id",
        "id",
    ),
    Bug(
        "a call that breaks leaves its fence up",
        "the next one goes on over half of it",
        "call/fence",
        "'begin', folding, 'done', 'torn'",
        "'begin', folding, 'done', folding",
    ),
    Bug(
        "what the server does not let a fold read is no fault of the event",
        "a good event becomes a dead letter",
        "call/event",
        "or find(text, '^%u+ ')",
        "",
    ),
    Bug(
        "a key of another type halts the partition",
        "no rebuild follows",
        "call/fence",
        " or is_foreign(reason)",
        "",
    ),
    Bug(
        "live calls wait for a rebuild",
        "they go on over half a state",
        "call/open",
        "elseif v.rebuilding then",
        "elseif false then",
    ),
    Bug(
        "a rebuild believes facts up to the old watermark only",
        "what a torn call had decided, or a stranger forged, takes effect",
        "drop_state",
        "rcall('HGET', key.meta, 'rebuild_until') or folded_up_to()",
        "'+'",
    ),
    Bug(
        "a rebuild that starts over remembers the old watermark",
        "true facts are refused as forged",
        "drop_state",
        "rcall('HGET', key.meta, 'rebuild_until') or",
        "",
    ),
    Bug(
        "a torn rebuild starts over",
        "it goes on over half a state, or never ends",
        "begin_rebuild",
        "if phase and torn then",
        "if false then",
    ),
    Bug(
        "a state is condemned only if its log is whole",
        "a trimmed log is folded without its head",
        "begin_rebuild",
        "if missing > 0 then",
        "if false then",
    ),
    Bug(
        "letters of a torn call are taken back",
        "an event has two letters, or is folded and a dead letter",
        "drop_state",
        "rcall('XDEL', dead, letters[i][1])",
        "",
    ),
    Bug(
        "a state that is gone is not taken for a new one",
        "its log is folded as if there were no decisions",
        "call/open",
        "if not v.watermark and not v.last_call_ts and folded_up_to() ~= '0-0' then",
        "if false then",
    ),
    Bug(
        "a replay delivers nothing",
        "nodes are sent old assignments again",
        "plan/plan",
        "  if not live then\n    return\n  elseif not planning then\n    deliver_now",
        "  if false then\n    return\n  elseif not planning then\n    deliver_now",
    ),
    Bug(
        "retention goes by the time of events",
        "a replay drops other jobs than were dropped",
        "state/ended",
        "config('retention_ms') > at then",
        "config('retention_ms') > (now > 0 and now or at) then",
    ),
]
