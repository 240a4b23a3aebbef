"""An event-sourced scheduler over Redis Streams, for a changing fleet of nodes.

These are the public names. Each is imported on first use, so that a producer does not pay for the node's side, nor the
command line for either.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from .version import __version__

if TYPE_CHECKING:
    from .client import (
        Affinity,
        CompleteTaskRequest,
        Dispatched,
        DispatchRequest,
        HeartbeatRequest,
        Job,
        JobResult,
        JobState,
        JobStatus,
        RegisterNodeRequest,
        Scheduler,
        SubmitRequest,
    )
    from .contract.errors import (
        AlreadyTerminal,
        EmptyPool,
        InvalidField,
        JobConflict,
        JobFailed,
        LogGap,
        LogWiped,
        NoAvailableNode,
        NodeMismatch,
        NodeSuperseded,
        NoPoolForLangPair,
        NotPermitted,
        Overloaded,
        PartitionHalted,
        PartitionRebuilding,
        Paused,
        ResultTimeout,
        SchedulerError,
        ServerUnreachable,
        StaleAttempt,
        UnknownJob,
        UnknownNode,
    )
    from .contract.keys import Keys
    from .node import Arbiter, Assignment, Handler, Node, Task
    from .worker import Worker, health_probe


__all__ = [
    "Affinity",
    "AlreadyTerminal",
    "Arbiter",
    "Assignment",
    "CompleteTaskRequest",
    "DispatchRequest",
    "Dispatched",
    "EmptyPool",
    "Handler",
    "HeartbeatRequest",
    "InvalidField",
    "Job",
    "JobConflict",
    "JobFailed",
    "JobResult",
    "JobState",
    "JobStatus",
    "Keys",
    "LogGap",
    "LogWiped",
    "NoAvailableNode",
    "NoPoolForLangPair",
    "Node",
    "NodeMismatch",
    "NodeSuperseded",
    "NotPermitted",
    "Overloaded",
    "PartitionHalted",
    "PartitionRebuilding",
    "Paused",
    "RegisterNodeRequest",
    "ResultTimeout",
    "Scheduler",
    "SchedulerError",
    "ServerUnreachable",
    "StaleAttempt",
    "SubmitRequest",
    "Task",
    "UnknownJob",
    "UnknownNode",
    "Worker",
    "__version__",
    "health_probe",
]

HOMES = {
    "client": (
        *("Affinity", "CompleteTaskRequest", "DispatchRequest", "Dispatched", "HeartbeatRequest", "Job", "JobResult"),
        *("JobState", "JobStatus", "RegisterNodeRequest", "Scheduler", "SubmitRequest"),
    ),
    "node": ("Arbiter", "Assignment", "Handler", "Node", "Task"),
    "worker": ("Worker", "health_probe"),
    "contract.keys": ("Keys",),
}
"""The module of each public name; any other name is an error."""


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = next((module for module, names in HOMES.items() if name in names), "contract.errors")
    value = getattr(import_module(f".{home}", __name__), name)
    globals()[name] = value  # the next use does not call this function
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
