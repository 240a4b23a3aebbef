"""The producer side: the four calls, submissions, and their results."""

from ..contract.events import Affinity, JobStatus
from ..contract.jobs import JobState
from .requests import CompleteTaskRequest, DispatchRequest, HeartbeatRequest, RegisterNodeRequest, SubmitRequest
from .results import Job, JobResult
from .scheduler import Dispatched, Scheduler

__all__ = [
    "Affinity",
    "CompleteTaskRequest",
    "DispatchRequest",
    "Dispatched",
    "HeartbeatRequest",
    "Job",
    "JobResult",
    "JobState",
    "JobStatus",
    "RegisterNodeRequest",
    "Scheduler",
    "SubmitRequest",
]
