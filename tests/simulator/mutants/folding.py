"""Guards of the fold: every event once, and what is refused becomes a dead letter."""

from __future__ import annotations

from ...support.planting import Bug

FOLDING = [
    Bug(
        "the watermark moves with every entry",
        "an entry is folded twice",
        "fold_log",
        "meta.watermark, moved = id, true",
        "moved = true",
    ),
    Bug(
        "the watermark moves with what was appended",
        "an appended event is folded twice",
        "append_entry",
        "meta.watermark, moved = id, true",
        "moved = true",
    ),
    Bug(
        "what is refused becomes a dead letter",
        "it is gone without a word",
        "fold_event",
        "  if burying then",
        "  if false then",
    ),
    Bug(
        "a refused event leaves no plan behind",
        "half of it happens with the next one",
        "fold_event",
        "  abandon()\n",
        "",
    ),
    Bug(
        "a replay skips what was refused",
        "it is folded after all, forged decisions too",
        "replay",
        "skip[entries[i][1]]",
        "nil",
    ),
    Bug(
        "a call folds no more than its bound",
        "one call holds up the server",
        "fold_log",
        "'COUNT', whole(left), ",
        "",
    ),
    Bug(
        "the log's entries are counted",
        "what was deleted unfolded goes unseen",
        "find_gap",
        "if added ~= meta.folded then",
        "if false then",
    ),
    Bug(
        "the group shows how far the fold is",
        "its lag says nothing",
        "close_call",
        "move_group(events, meta.watermark,",
        "move_group(events, '0-0',",
    ),
]
