"""Guards of trimming: nothing goes that is still needed."""

from __future__ import annotations

from ...support.planting import Bug

TRIMMING = [
    Bug(
        "only the archiver that began last trims",
        "what another one has not written is gone",
        "call/trim",
        "v[1] ~= archiver and",
        "false and",
    ),
    Bug(
        "the submission of an alive job is not trimmed",
        "its story has no beginning",
        "trim_log",
        "job[2] == id and not is_terminal(job[1])",
        "false",
    ),
    Bug(
        "nothing is trimmed that is not archived",
        "events are lost",
        "trim_log",
        "at_or_before(archived, watermark) and archived or watermark",
        "watermark",
    ),
    Bug(
        "nothing is trimmed that is not folded",
        "events take no effect",
        "trim_log",
        "at_or_before(archived, watermark) and archived or watermark",
        "archived",
    ),
    Bug(
        "no letter is trimmed that is not archived",
        "the refusals are lost",
        "trim_dead_letters",
        "last and '(' .. last or '-', archived, 'COUNT', asked)",
        "last and '(' .. last or '-', '+', 'COUNT', asked)",
    ),
    Bug(
        "no letter is trimmed that a replay would meet",
        "it folds what was refused",
        "trim_dead_letters",
        "met = letter.stream == 'events' and first[1] and at_or_before(first[1][1], letter.id)",
        "met = false",
    ),
    Bug(
        "nothing is trimmed while the state is not whole",
        "a rebuild finds no log",
        "call/open",
        "if v[1] and not v[2] and v[3] == v[4] and not v[5] then",
        "if v[1] then",
    ),
]
