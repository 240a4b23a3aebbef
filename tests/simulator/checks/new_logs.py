"""Events of a log that began where another was lost, and that stand behind the restored events of the lost one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ...model.state import Job
from ..redis_double.values import ZERO, Hash, Stream, id_of
from .observations import DECISIONS, Entry


def holds(meta: Any, field: str) -> bool:
    """Whether the partition's hash, as it is or was, has a field."""
    return isinstance(meta, Hash) and field in meta


def _name(entry_id: str, flat: Iterable[str]) -> str:
    return "\n".join((entry_id, *flat))


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
        self._known: dict[str, list[str]] = {}  # by id and content: another history may use an id once more

    def adopted(self, meta: Any, stream: Stream, codes: Mapping[str, str]) -> None:
        """An archive was put in front of a log.

        Args:
            meta: the hash of the partition.
            stream: the log.
            codes: the code of each event that has a dead letter by now.
        """
        self.after = meta["carried_after"] if holds(meta, "carried_after") else ""
        judged = id_of(meta.get("rebuild_until", "0-0")) if self.after else ZERO  # a torn call is made again
        for entry_id, flat in stream.entries:
            if id_of(entry_id) <= judged:
                self._known[_name(entry_id, flat)] = [codes.get(entry_id, "")]

    def of(self, log: Iterable[Entry]) -> None:
        """History is another one: keep what is known of its events."""
        found = {entry.id: self._known[name] for entry in log if (name := _name(entry.id, entry.flat)) in self._known}
        for known in (self.folded, self.refused, self._disbelieved):
            known.clear()
        self.folded.update(found)
        self.refused.update({entry_id: codes[0] for entry_id, codes in found.items() if codes[0]})
        self._disbelieved.update(entry_id for entry_id, codes in found.items() if len(codes) > 1)

    def disbelieves(self, entry: Entry, held: Job | None) -> bool:
        """Whether a decision takes no effect: it is about a job of the lost log, of which the new one knew nothing.

        Args:
            entry: an event that is to be folded.
            held: the job that it names, as the restored events know it.
        """
        if entry.id in self.folded and entry.fields.get("type") in DECISIONS and entry.id not in self.refused:
            knew = "job_id" not in entry.fields or (held and id_of(held.submit_id) > id_of(self.after or "0-0"))
            if self.after and id_of(entry.id) > id_of(self.after) and not knew:
                self._disbelieved.add(entry.id)
                self._known[_name(entry.id, entry.flat)].append("disbelieved")
        return entry.id in self._disbelieved
