"""Guards of the fold: every event once, and what is refused becomes a dead letter."""

from __future__ import annotations

from ...support.planting import Bug

FOLDING = [
    Bug(
        "the watermark moves with every entry",
        "an entry is folded twice",
        "call/log",
        "fields_of(slice[i][2]), false)\n      meta.watermark, moved = id, true",
        "fields_of(slice[i][2]), false)\n      moved = true",
    ),
    Bug(
        "the watermark moves with what was appended",
        "an appended event is folded twice",
        "call/log",
        "fields_of(flat), decided)\n  meta.watermark, moved = id, true",
        "fields_of(flat), decided)\n  moved = true",
    ),
    Bug(
        "what is refused becomes a dead letter",
        "it is gone silently",
        "call/event",
        "  if writes_letters then",
        "  if false then",
    ),
    Bug(
        "a refused event leaves no plan behind",
        "half of it happens with the next one",
        "call/event",
        "  abandon()\n",
        "",
    ),
    Bug(
        "a replay skips what was refused",
        "it is folded after all, forged decisions too",
        "replay",
        "refused_before[slice[i][1]]",
        "nil",
    ),
    Bug(
        "a call folds no more than its bound",
        "one call holds up the server",
        "call/slices",
        "left = left - weight_of(slice[n][2])",
        "",
    ),
    Bug(
        "the log's entries are counted",
        "what was deleted unfolded goes unseen",
        "call/log",
        "if added ~= meta.folded then",
        "if false then",
    ),
    Bug(
        "the group shows how far the fold is",
        "its lag says nothing",
        "call/close",
        "move_group(events, meta.watermark,",
        "move_group(events, '0-0',",
    ),
]
