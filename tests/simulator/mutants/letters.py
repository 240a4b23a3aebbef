"""Guards of handled dead letters."""

from __future__ import annotations

from ...support.planting import Bug

LETTERS = [
    Bug(
        "a letter that was retried is remembered",
        "it can be retried again",
        "state/letter",
        "plan_write('HSET', key.letters, letter, how .. ' ' .. id)",
        "",
    ),
    Bug(
        "a letter takes effect once",
        "its second retry takes effect, too",
        "state/letter",
        "find(handled, 'retried', 1, true)",
        "false",
    ),
    Bug(
        "a letter that was seen to is not dropped",
        "its retry is not recorded",
        "state/letter",
        "how == 'dropped' or",
        "",
    ),
    Bug(
        "what a source said is retried, however much it has said since",
        "its letters can only be dropped",
        "ingress/source",
        "stream == 'events' and not e.retry_of and",
        "stream == 'events' and",
    ),
]
