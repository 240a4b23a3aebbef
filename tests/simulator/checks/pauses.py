"""Whether jobs of what is paused wait, and go on once it is resumed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import permutations
from typing import Any

from streamsched.contract.keys import Keys

from ...model.state import State


class Pauses:
    """Follows the jobs that nothing but a pause keeps waiting."""

    def __init__(self, data: Any, keys: Keys, mark: Callable[[str], None]) -> None:
        self.data, self.keys, self.mark = data, keys, mark
        self.kept: dict[str, str] = {}
        """Job, and what keeps it: ``pool en-zh`` or ``pair en:zh``."""
        self.released: dict[str, str] = {}
        """Job, and whether it was a pool or a pair that was resumed."""

    def look(self, partition: State) -> None:
        """See which jobs would go to a node now; while a call has left something to dispatch, nothing can be said."""
        if partition.paused and self.keys("ready") not in self.data:
            for name in partition.paused:
                kind, _, subject = name.partition(" ")
                for src, tgt in self._held_back(partition, kind, subject):
                    self.mark(f"a paused {kind} was not dispatched")
                    self.kept |= dict.fromkeys(self.data[self.keys("waiting", src, tgt)].scores, name)

    def _held_back(self, partition: State, kind: str, subject: str) -> Iterator[tuple[str, ...]]:
        if kind == "pair":
            pairs = [tuple(subject.split(":"))]
        else:
            pairs = list(permutations(partition.pools[subject].languages, 2))
            if self.keys("pool_online", subject) not in self.data:
                return
        for pair in pairs:
            serving = self.data.get(self.keys("serving", *pair))
            is_open = serving is not None and not serving.scores.keys().isdisjoint(self.data.get(self.keys("open"), ()))
            if self.keys("waiting", *pair) in self.data and is_open == (kind == "pair"):
                yield pair

    def folded(self, kind: str, fields: dict[str, str]) -> None:
        """Note that something was resumed, or that a job has been dispatched."""
        if kind in ("pool.resumed", "pair.resumed"):
            what = kind.partition(".")[0]
            name = f"{what} " + (fields["pool_id"] if what == "pool" else f"{fields['src_lang']}:{fields['tgt_lang']}")
            for job_id in [job_id for job_id, by in self.kept.items() if by == name]:
                del self.kept[job_id]
                self.released[job_id] = what
        elif kind == "job.dispatched" and (what := self.released.pop(fields["job_id"], "")):
            self.mark(f"a resumed {what} was dispatched")
