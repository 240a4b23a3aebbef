"""Every guard that the simulator takes away, by what it guards."""

from __future__ import annotations

from .folding import FOLDING
from .letters import LETTERS
from .load import LOAD
from .lost_logs import LOST_LOGS
from .places import PLACES
from .rebuilds import REBUILDS
from .repeats import REPEATS
from .sources import SOURCES
from .time import TIME
from .trimming import TRIMMING
from .voices import VOICES

BUGS = [
    *VOICES,
    *REPEATS,
    *FOLDING,
    *REBUILDS,
    *TRIMMING,
    *TIME,
    *PLACES,
    *SOURCES,
    *LOAD,
    *LETTERS,
    *LOST_LOGS,
]
