"""The table of all faults."""

from __future__ import annotations

from .fault import Fault
from .processes import (
    KillArchiver,
    KillNode,
    KillNodeBriefly,
    KillProducer,
    KillWorker,
    StopArchiver,
    StopNode,
    StopProducer,
    StopWorker,
)
from .server import KillServer, KillServerAlways

FAULTS: dict[str, Fault] = {
    fault.name: fault
    for fault in (
        KillWorker(),
        KillNode(),
        KillNodeBriefly(),
        KillProducer(),
        KillArchiver(),
        StopWorker(),
        StopNode(),
        StopProducer(),
        StopArchiver(),
        KillServer(),
        KillServerAlways(),
    )
}
"""By name, in the order in which they are played."""
