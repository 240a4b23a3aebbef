"""Overload: which submissions are shed, and what the log says of it."""

from __future__ import annotations

from ..refusals import Refused, require
from ..state import State
from .registry import Entry, folds


def relief(bound: int) -> int:
    """Where it is over: a tenth below, rounded in favour of less."""
    return bound - -(-bound // 10)


def waiting(state: State) -> int:
    """How many jobs wait."""
    return sum(job.status == "created" for job in state.jobs.values())


def admit(state: State) -> None:
    """Refuse a submission that would have to wait where too many do."""
    bound = state.config("max_waiting")
    most = relief(bound) if "waiting" in state.overload else bound - 1
    if len(state.jobs) > most and waiting(state) > most:
        raise Refused("OVERLOADED")


@folds("scheduler.overloaded")
def overloaded(state: State, entry: Entry, cause: str, measured: str, bound: str) -> None:
    """There is too much of something."""
    limits = {"lag": "max_lag", "memory": "shed_memory_percent", "waiting": "max_waiting"}
    require(cause in limits and cause not in state.overload, f"{cause} is known to be too much")
    require(int(bound) == state.config(limits[cause]), f"no such bound: {bound}")
    if cause == "waiting":  # some may have been shed, and so many served since that it is over already
        require(int(measured) == waiting(state), f"{waiting(state)} jobs wait")
    else:
        require(int(measured) >= int(bound), f"{measured} is no more than {bound}")
    state.overload[cause] = entry.at


@folds("scheduler.relieved")
def relieved(state: State, entry: Entry, cause: str, since_ts: str, shed: str) -> None:
    """There is room again."""
    require(cause in state.overload, f"{cause} was not too much")
    if cause == "waiting":
        require(waiting(state) <= relief(state.config("max_waiting")), f"{waiting(state)} jobs wait")
    if cause != "lag":  # which began before anything could be written
        require(int(since_ts) == state.overload[cause], f"it began at {state.overload[cause]}")
    del state.overload[cause]
    state.counted["shed"] += int(shed)
