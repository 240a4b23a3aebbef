"""Guards of trimming: nothing goes that is still needed."""

from __future__ import annotations

from ...planting import Bug

TRIMMING = [
    Bug(
        "the submission of an alive job is not trimmed",
        "its story has no beginning",
        "trim",
        "job[2] == id and not is_terminal(job[1])",
        "false",
    ),
    Bug(
        "nothing is trimmed that is not archived",
        "events are lost",
        "trim",
        "not_behind(archived, watermark) and archived or watermark",
        "watermark",
    ),
    Bug(
        "nothing is trimmed that is not folded",
        "events take no effect",
        "trim",
        "not_behind(archived, watermark) and archived or watermark",
        "archived",
    ),
    Bug(
        "nothing is trimmed while the state is not whole",
        "a rebuild finds no log",
        "is_whole",
        "if v[1] and not v[2] and v[3] == v[4] then",
        "if v[1] then",
    ),
]
