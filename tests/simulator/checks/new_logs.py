"""Events of a log that began where another was lost, and that stand behind the restored events of the lost one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...model.state import Job
from ..redis_double.values import Hash, Stream, id_of
from .observations import DECISIONS, Entry


def holds(meta: Any, field: str) -> bool:
    """Whether the partition's hash, as it is or was, has a field."""
    return isinstance(meta, Hash) and field in meta


class NewLogs:
    """Follows what becomes of them."""

    def __init__(self) -> None:
        self.after = ""
        """The last restored event; empty where the log is all of one history."""
        self.folded: set[str] = set()
        """Events that a new log had folded: its decisions were made on another state."""
        self.refused: dict[str, str] = {}
        """Events that a new log had refused, and the code: they stay refused."""
        self._disbelieved: set[str] = set()

    def adopted(self, meta: Any, stream: Stream, codes: Mapping[str, str]) -> None:
        """An archive was put in front of a log.

        Args:
            meta: the hash of the partition.
            stream: the log.
            codes: the code of each event that has a dead letter by now.
        """
        self.after = meta["carried_after"] if holds(meta, "carried_after") else ""
        if self.after:
            judged = id_of(meta.get("watermark", "0-0"))
            folded = {entry_id for entry_id, _ in stream.entries if id_of(entry_id) <= judged}
            self.folded |= folded
            self.refused |= {entry_id: code for entry_id, code in codes.items() if entry_id in folded}

    def disbelieves(self, entry: Entry, held: Job | None) -> bool:
        """Whether a decision takes no effect: it is about a job of the lost log, of which the new one knew nothing.

        Args:
            entry: an event that is to be folded.
            held: the job that it names, as the restored events know it.
        """
        if entry.id in self.folded and entry.fields.get("type") in DECISIONS and entry.id not in self.refused:
            knew = "job_id" not in entry.fields or (held and id_of(held.submit_id) > id_of(self.after or "0-0"))
            if self.after and not knew:
                self._disbelieved.add(entry.id)
        return entry.id in self._disbelieved
