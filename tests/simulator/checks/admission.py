"""What must hold of a call that sheds submissions: they leave no trace, and nothing else is shed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .checker import Checker
from .observations import require

Event = Mapping[str, str]


def name_of(event: Event) -> str:
    """The job that a submission is about, if it has a name of its own."""
    return event.get("job_id") or f"{event.get('session_id')}:{event.get('request_id')}"


class Door:
    """Looks at one call, from before it on.

    Args:
        checker: follows the log.
    """

    def __init__(self, checker: Checker) -> None:
        self._checker, self._log = checker, len(checker.log)
        self._known = set(checker.model.partition.jobs) | {name_of(e.fields) for e in checker.log[checker.folded :]}
        self._short_of_memory = checker.follows and "memory" in checker.model.partition.overload

    def check(self, events: Sequence[Event], answers: Sequence[Sequence[str]]) -> None:
        """Hold the answers against what came of the call."""
        written = [entry.fields for entry in self._checker.log[self._log :]]
        let_in = [event for event, (code, *_) in zip(events, answers, strict=True) if code != "OVERLOADED"]
        for event, (code, detail, *_) in zip(events, answers, strict=True):
            if code == "OVERLOADED":
                require(event["type"] == "job.submitted", f"shed, and no submission: {event}")
                twice = written.count(dict(event)) > let_in.count(event)
                require(not twice, f"shed, and written all the same: {event}")
                require("retry_after_ms=" in detail, f"refused without a retry delay: {detail}")
                self._checker.mark(f"shed: {'memory' if 'memory' in detail else 'waiting'}")
            elif event["type"] == "job.submitted" and self._short_of_memory:
                require(name_of(event) in self._known, f"accepted while memory is short: {event}")
