"""Guards of handled dead letters."""

from __future__ import annotations

from ...support.planting import Bug

LETTERS = [
    Bug(
        "a letter that was retried is remembered",
        "it can be retried again",
        "call/event",
        "note_handled(letter, 'retried ' .. id)",
        "",
    ),
    Bug(
        "a letter takes effect once",
        "its second retry takes effect, too",
        "call/event",
        "if handled and find(handled, 'retried', 1, true) then",
        "if false then",
    ),
    Bug(
        "a letter that was seen to is not dropped",
        "its retry is not recorded",
        "letter.dropped",
        "letter ~= e.retry_of and rcall('HEXISTS', key.letters, letter) == 0",
        "letter ~= e.retry_of",
    ),
    Bug(
        "what a source said is retried, however much it has said since",
        "its letters can only be dropped",
        "ingress/source",
        "stream == 'events' and not e.retry_of and",
        "stream == 'events' and",
    ),
]
