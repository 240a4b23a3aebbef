"""What must hold of ingress streams: all that a source said is in the log, once, as it said it, and under its name."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ...model.state import State
from ..redis_double.values import Stream, Value
from .observations import Call, Entry, require

STAMPS = ("source", "source_id", "retry_of")
OWNED = ("job_id", "session_id", "reply_to")

Said = tuple[str, str]
"""The name of a source, and the id of an entry in its ingress."""


class Intake:
    """Follows the ingress streams of one partition.

    Args:
        data: the keys of the server.
        prefix: of the ingress streams.
        mark: notes that a rare state was reached.
    """

    def __init__(self, data: dict[str, Value], prefix: str, mark: Callable[[str], None]) -> None:
        self.data, self.prefix, self.mark = data, prefix, mark
        self.said: dict[Said, list[str]] = {}
        self.taken: dict[Said, str] = {}
        """Which entry of the log is a copy."""
        self.buried: set[Said] = set()
        """What was not taken in at all, and has a dead letter."""
        self._waiting: dict[str, list[str]] = {}

    def rewind(self, log: Iterable[Entry]) -> None:
        """History was lost: what was said is what still waits or was taken in."""
        self.taken = {key: entry.id for entry in log if (key := self._copied(entry)) is not None}
        self._waiting = {}
        said, self.said = self.said, {}
        for name in [key[len(self.prefix) :] for key in self.data if key.startswith(self.prefix)]:
            self._read(name)
        self.said |= {key: said[key] for key in self.taken if key in said and key not in self.said}

    def forget(self, name: str) -> None:
        """What waited in an ingress is gone, and no promise covers it."""
        self._waiting[name] = []
        self.said = {key: flat for key, flat in self.said.items() if key[0] != name or key in self.taken}

    @staticmethod
    def _copied(entry: Entry) -> Said | None:
        e = entry.fields
        copied = "source_id" in e and "source" in e and "retry_of" not in e
        return (e["source"], e["source_id"]) if copied else None

    def _read(self, name: str) -> list[str]:
        stream = self.data.get(self.prefix + name)
        entries = stream.entries if isinstance(stream, Stream) else []
        for entry_id, flat in entries:
            self.said[name, entry_id] = flat
        now = [entry_id for entry_id, _ in entries]
        before, self._waiting[name] = self._waiting.get(name, []), now
        return before

    def copied(self, entry: Entry, call: Call) -> None:
        """A copy has come into the log."""
        key = self._copied(entry)
        if key is None:
            return
        require(key in self.said, f"{entry.id}: {key[0]} never said {key[1]}")
        require(key not in self.taken, f"{key[1]} of {key[0]} was taken in twice: {self.taken.get(key)}, {entry.id}")
        self.taken[key] = entry.id
        require(call.script == "ingest", f"{entry.id}: {key[0]} speaks in a call of {call.script}")
        said = dict(zip(self.said[key][::2], self.said[key][1::2], strict=True))
        copy = dict(entry.fields)
        for field in OWNED:
            if field in copy and copy[field] != said.get(field):
                copy[field] = copy[field].removeprefix(f"{key[0]}/")
        if "job_id" not in said:
            copy.pop("job_id", None)
        wanted = {field: value for field, value in said.items() if field not in STAMPS}
        found = {field: value for field, value in copy.items() if field not in STAMPS}
        require(found == wanted, f"{entry.id} is not what {key[0]} said: {found}, not {wanted}")
        require(len(entry.flat) == 2 * len(entry.fields), f"{entry.id}: {key[0]} says a field twice: {entry.flat}")
        self.mark("taken in")

    def after(self, call: Call, written: Iterable[str], state: State, follows: bool) -> None:
        """Each entry that a command removed from an ingress must be somewhere else.

        Args:
            call: the command.
            written: the keys that it wrote.
            state: by the model, as it was before the command.
            follows: whether the model follows the state.
        """
        for name in [key[len(self.prefix) :] for key in written if key.startswith(self.prefix)]:
            before = self._read(name)
            now = set(self._waiting[name])
            gone = [entry_id for entry_id in before if entry_id not in now]
            source = self.prefix.removesuffix("in:") + f"source:{name}"
            if self.prefix + name not in self.data and source not in self.data:
                self.forget(name)  # it is retired
                continue
            if not gone or not follows:
                continue
            require(call.script == "ingest", f"{call.script} took from the ingress of {name}")
            self._left(name, gone, len(before), state)

    def _left(self, name: str, gone: list[str], waited: int, state: State) -> None:
        if any((name, entry_id) in self.buried for entry_id in gone):
            self.mark("an ingress started over")
            return  # behind an id ahead of the clock there is no room
        lost = [entry_id for entry_id in gone if (name, entry_id) not in self.taken]
        lost = [entry_id for entry_id in lost if "node.heartbeat" not in self.said[name, entry_id]]
        backlog = state.sources[name].backlog if name in state.sources else 0  # admitted in this very call
        require(len(lost) <= max(waited - backlog, 0), f"{lost} of {name} are gone: {waited} waited, {backlog} may")
        if lost:
            self.mark("of a backlog the oldest dropped")

    def share(self, copies: Iterable[Entry], call: Call) -> None:
        """No source takes more of a call than its share."""
        each: dict[str, int] = {}
        for entry in copies:
            if (key := self._copied(entry)) is not None:
                each[key[0]] = each.get(key[0], 0) + 1
        most = max(1, call.batch // 2 // max(call.speakers, 1))
        for name, count in each.items():
            require(count <= most, f"{count} entries of {name} were taken in by a call that may take {most}")
