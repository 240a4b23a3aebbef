"""What must hold after every command: the model folds the same log, and what it comes to is what the server holds."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

from streamsched.contract.keys import Keys

from ...model.fold import Model
from ...model.refusals import Unlawful, unheld
from ...model.state import TERMINAL
from ..redis_double.double import Double
from ..redis_double.values import ZERO, Hash, Stream, id_of, text_of
from .contents import by_the_model, state_of
from .intake import Intake
from .letters import Letters
from .limits import Limits
from .new_logs import NewLogs, holds
from .observations import DECISIONS, OTHER, Call, Entry, Violation, require
from .pauses import Pauses

QUIET = frozenset(
    ("replay", "replay_entries", "drop_state", "adopt_archive", "load_snapshot", "trim_log", "trim_dead_letters")
)
"""Scripts without deliveries."""
LIVE = ("advance", "append", "ingest")
"""Scripts that fold and decide."""


class Checker:
    """Follows one partition on one double."""

    def __init__(
        self, server: Double, keys: Keys, mark: Callable[[str], None], note: Callable[[str], None] = lambda text: None
    ) -> None:
        self.server, self.keys, self.mark, self.note = server, keys, mark, note
        self.limits = Limits()
        self.log: list[Entry] = []
        self.by_id: dict[str, Entry] = {}
        self.trimmed = 0
        self.letters = Letters()
        self.forged: set[str] = set()
        self.folded = 0
        self.ended: dict[str, dict[str, str]] = {}
        self.tokens: dict[str, str] = {}
        """Every attempt ever issued, and its job: those too that the log has lost since."""
        self.lost: set[str] = set()  # attempts whose fact the log has lost
        self.intents: dict[str, str] = {}
        self.archive: list[tuple[str, list[str]]] = []
        self.readable: Callable[[], list[tuple[str, list[str]]]] = lambda: self.archive  # as its manifest lists it
        self.new_logs = NewLogs()
        self.model = Model(self.forged, self.new_logs.refused)
        self.overwritten = False
        """Something foreign lies under a key of the state."""
        self.met_foreign = False  # by a script
        self.whole = True
        self._beats_read = "0-0"
        self._events, self._dead, self._meta = keys("events"), keys("dead"), keys("meta")
        self._heartbeats = keys("heartbeats")
        self.intake = Intake(server.space.data, keys("ingress", ""), mark)
        self.pauses = Pauses(server.space.data, keys, mark)
        self._effects = (keys.prefix + "inbox:", keys.prefix + "reply:")

    # what is seen of a command

    def after(self, call: Call, answered: bool) -> None:
        """Look at everything once a command has been carried out, refused or torn.

        Raises:
            Violation: an invariant does not hold any more.
        """
        undo = self.server.space.undo
        if call.script in QUIET:
            for key in undo.keys() & self.server.space.data.keys():  # the others have expired
                require(not key.startswith(self._effects), f"{call.script} delivered something: {key}")
        before = len(self.log)
        follows = self.follows
        if self._heartbeats in undo:
            self._read_beats()
        if self._events in undo:
            self._read_log(call)
        if self._dead in undo:
            if call.script == "trim_dead_letters":
                was: Any = undo[self._dead]
                self.letters.trimmed(was.entries, self._stream(self._dead), self._stream(self._events))
            self._read_letters()
        self.intake.after(call, undo, self.model.partition, follows)
        if call.script == "adopt_archive" and self._events in undo:
            self.adopt()
        if self.overwritten:
            self._look_for_foreign()
        self._look_for_lost(call, answered)
        was_whole = self.whole
        self.whole = self._is_whole()
        if answered and call.script in (*LIVE, "trim_log", "trim_dead_letters"):
            require(was_whole, f"{call.script} went on over a state that is not whole")
        if self.follows and (self._meta in undo or not was_whole):
            self._settle(call, before, compare_all=not was_whole)

    @property
    def follows(self) -> bool:
        """Whether the model stands where the state stands."""
        return self.whole and not self.overwritten

    def _look_for_lost(self, call: Call, answered: bool) -> None:
        """While an operator is to restore a lost log, nothing is folded or decided."""
        if self._meta in self.server.space.undo:
            before, meta = self.server.space.undo[self._meta], self.server.space.data.get(self._meta)
            refused = not (answered and call.script in LIVE and holds(before, "wiped"))
            require(refused, f"{call.script} went on where the log was lost")
            if holds(meta, "lost") and not holds(before, "lost"):
                self.mark("a lost log named")

    def _look_for_foreign(self) -> None:
        data = self.server.space.data
        self.overwritten = any(type(value) is str and self.keys.is_state(key) for key, value in data.items())

    def _is_whole(self) -> bool:
        meta = self.server.space.data.get(self._meta)
        folded = (group := self._stream(self._events).groups.get("fold")) is not None and group.last != ZERO
        if not isinstance(meta, Hash):
            return meta is None and not folded
        gone = folded and not meta.keys() & {"watermark", "last_call_ts"}
        return not gone and meta.get("begin") == meta.get("done") and "rebuilding" not in meta

    def _stream(self, key: str) -> Stream:
        stream = self.server.space.data.get(key)
        return stream if isinstance(stream, Stream) else Stream()

    def _read_log(self, call: Call) -> None:
        stream = self._stream(self._events)
        start = stream.between("(" + self.log[-1].id, "+")[0] if self.log else 0
        for entry_id, flat in stream.entries[start:]:
            entry = Entry(entry_id, flat, self.limits.true_ms, call.torn)
            self.intake.copied(entry, call)
            self.log.append(entry)
            self.by_id[entry_id] = entry
            if entry.fields.get("type") in DECISIONS:
                self.note(f"        {entry_id} {' '.join(flat[1::2])}")
                if not entry.forged:
                    self._look_at(entry)
            elif entry.fields.get("type") == "node.offline":
                self.limits.written(entry)
        self.intake.share(self.log[-len(stream.entries[start:]) :] if stream.entries[start:] else [], call)
        if len(stream.ids) < len(self.log) - self.trimmed:
            self._check_trim(len(self.log) - len(stream.ids))

    def _look_at(self, entry: Entry) -> None:
        """What can be said of a decision at the moment it is written."""
        if entry.fields["type"] == "job.dispatched":
            token = f"{entry.id}-{entry.fields['nonce']}"
            require(token not in self.tokens, f"the attempt {token} was issued before, for {self.tokens.get(token)}")
            self.tokens[token] = entry.fields["job_id"]
        self.limits.written(entry)

    def _check_trim(self, trimmed: int) -> None:
        archived = dict(self.archive)
        alive = {job.submit_id for job in self.model.partition.jobs.values() if job.status not in TERMINAL}
        for entry in self.log[self.trimmed : trimmed]:
            if not self.overwritten:  # else the model does not follow until the state is of one piece again
                require(self._position(entry) < self.folded, f"{entry.id} was trimmed unfolded")
                require(entry.id not in alive, f"the submission {entry.id} of a job that is alive was trimmed")
            require(archived.get(entry.id) == entry.flat, f"{entry.id} was trimmed, and is not in the archive")
        self.trimmed = trimmed

    def _position(self, entry: Entry) -> int:
        return bisect_left(self.log, id_of(entry.id), key=lambda known: id_of(known.id))

    def _read_beats(self) -> None:
        stream = self._stream(self._heartbeats)
        start = stream.between("(" + self._beats_read, "+")[0]
        for entry_id, flat in stream.entries[start:]:
            e = dict(zip(flat[::2], flat[1::2], strict=True))
            if e.get("online") == "true":
                self.limits.beat(e)
            self._beats_read = entry_id

    def _read_letters(self) -> None:
        self.letters.read(self._stream(self._dead))
        self.intake.buried = {(name.removeprefix("in:"), entry_id) for name, entry_id in self.letters.others}

    # what the state must be

    def _settle(self, call: Call, before: int, compare_all: bool) -> None:
        """The state is whole: it must be what the model makes of the log up to the watermark."""
        meta: Any = self.server.space.data.get(self._meta, {})
        watermark, folded = meta.get("watermark", "0-0"), int(meta.get("folded", 0))
        require(folded >= self.folded, f"the watermark went back to {watermark}: {folded} folded, not {self.folded}")
        require(folded <= len(self.log), f"{folded} events were folded, the log took in {len(self.log)}")
        require(watermark == (self.log[folded - 1].id if folded else "0-0"), f"{folded} folded, watermark {watermark}")
        if call.script in LIVE and not compare_all:
            self._check_bound(call, before, folded)
        for entry in self.log[self.folded : folded]:
            self._fold(entry)
        self.folded = folded
        beyond = [event_id for event_id in self.letters.codes.keys() & self.by_id if id_of(event_id) > id_of(watermark)]
        require(not beyond, f"letters of events that were not folded: {beyond}")
        self._compare()
        self.pauses.look(self.model.partition)
        self._check_ended()
        self._check_group(call, watermark, folded)
        self.limits.least |= {
            "heartbeat": self.model.partition.config("heartbeat_timeout_ms"),
            "accept": self.model.partition.config("accept_timeout_ms"),
            "job": self.model.partition.config("job_timeout_ms"),
        }

    def _check_bound(self, call: Call, before: int, folded: int) -> None:
        was: Any = self.server.space.undo.get(self._meta) or {}
        old = min(folded, before) - int(was.get("folded", 0))
        require(old <= call.batch, f"{call.script} folded {old} entries, its bound is {call.batch}")
        new = len(self.log) - before - call.own
        most = 2 * call.batch + 2 + 5 * call.speakers  # each may get a message about each of its limits
        require(new <= most, f"{call.script} took {new} decisions, its bound is {call.batch}")

    def _fold(self, entry: Entry) -> None:
        e = entry.fields
        letter = self.letters.codes.get(entry.id)
        held = self.model.partition.jobs.get(e.get("job_id", ""))
        if entry.forged:
            self.forged.add(entry.id)
        elif self.new_logs.disbelieves(entry, held):
            self.mark("a decision of a new log refused")
            self.forged.add(entry.id)
        elif letter == "FORGED_DECISION" and e.get("type") in DECISIONS and entry.id not in self.new_logs.refused:
            require(entry.doubtful, f"{entry.id}: a true {e['type']} was refused as forged")
            self.mark("a torn call's facts refused")
            self.forged.add(entry.id)
        before = held.status if held else ""
        if "source_id" in e and "retry_of" not in e and (source := self.model.partition.sources.get(e["source"])):
            require(not source.revoked, f"{entry.id}: {e['source']} was heard, and had been revoked")
            short = e["type"] == "job.submitted" and "memory" in self.model.partition.overload
            require(not short, f"{entry.id}: a submission of {e['source']} was taken in while memory is short")
        if self.model.partition.letters.get(e.get("retry_of", ""), "").startswith("retried"):
            self.mark("a letter retried again")
        if entry.id in self.new_logs.folded:
            self.limits.owed = {}  # the new log's own absences take the place of those before
        elif letter is None and e.get("type") in DECISIONS:
            self.limits.before(entry, self.model.partition)
        try:
            with unheld() if entry.id in self.new_logs.folded else nullcontext():
                code = self.model.step(entry.id, entry.flat)
        except Unlawful as problem:
            raise Violation(str(problem)) from problem
        require(code == letter, f"{entry.id} ({e.get('type')}): dead letter {letter}, by the model {code}")
        self._mark_event(entry, code, before)
        if not code:
            self.pauses.folded(e.get("type", ""), e)

    def _mark_event(self, entry: Entry, code: str | None, before: str) -> None:
        e, kind = entry.fields, entry.fields.get("type", "")
        if "retry_of" in e:
            self.mark("a retry refused" if code else "a retry accepted")
        if code:
            self.mark(f"dead: {code}")
        elif kind == "job.submitted":
            self._count_submission(entry, before)
        elif kind == "scheduler.resumed" and self.limits.absent(entry, self.model.partition):
            self.mark("resumed: again")
        elif kind == "job.dispatched":
            self.mark(f"why: {e['why']}")
            if e["affinity"] not in ("none", "new"):
                self.mark(f"affinity: {e['affinity']}")
        elif kind == "job.requeued":
            cause = e["cause"]
            named = cause if cause == "declined: full" or not cause.startswith("declined") else "declined"
            self.mark(f"requeued: {named}")
            job = self.model.partition.jobs[e["job_id"]]
            if "refund" in e and job.misses > 1:
                self.mark("requeued: twice in a row")
        elif kind == "job.exhausted":
            self.mark("exhausted: attempts" if ": attempt " in e["cause"] else "exhausted: its caller")
            if "declined: node restarted" in e["cause"]:
                self.mark("exhausted: handed back begun")
        elif kind == "job.refused":
            self.mark(f"refused: {e['code']}")
        elif kind in ("scheduler.overloaded", "scheduler.relieved", "source.limited"):
            self.mark(f"{kind.partition('.')[2]}: {e['cause']}")
        elif kind == "job.cancelled" and e.get("reason", "").endswith("was revoked"):
            self.mark("jobs of a revoked source cancelled")
        elif kind == "job.cancelled" and before in ("dispatched", "running"):
            self.mark("cancelled while held")
        elif name := EVENT_MARKS.get(kind):
            self.mark(name)

    def _count_submission(self, entry: Entry, before: str) -> None:
        """One intent of a producer becomes one job, however often it was said."""
        e = entry.fields
        if before:
            self.mark("submission twice in the log")
            return
        job_id = e.get("job_id") or f"{e['session_id']}:{e.get('request_id') or entry.id}"
        if (intent := e.get("intent")) is not None:
            known = self.intents.setdefault(intent, job_id)
            require(known == job_id, f"one intent became two jobs: {known} and {job_id}")

    def _compare(self) -> None:
        expected = by_the_model(self.model.partition, self.ended)
        found = self.state(self.keys.prefix)
        if not self.folded:
            found.pop("meta", None)  # whether it stands there before the first event says nothing
            expected.pop("meta", None)
        if found != expected:
            for key in sorted(expected.keys() | found.keys()):
                have, want = found.get(key), expected.get(key)
                require(have == want, f"{key} is {have}, by the model {want}")

    def state(self, prefix: str) -> dict[str, Any]:
        """All hard state below a prefix, in the form of the model."""
        return state_of(self.server.space.data, prefix)

    def _check_group(self, call: Call, watermark: str, folded: int) -> None:
        """The group shows how far the fold has come; an append may leave its cursor behind, to wake a worker."""
        group = self._stream(self._events).groups.get("fold")
        if group and call.script in LIVE and not call.torn:
            shown, read = text_of(group.last), group.read or 0
            require(read <= folded and id_of(shown) <= id_of(watermark), f"the group's cursor is at {shown}, ahead")
            behind = call.script == "append" or (shown, read) == (watermark, folded)
            require(behind, f"the group's cursor is at {shown}, {read} read; the fold at {watermark}, {folded} folded")

    def _check_ended(self) -> None:
        """An ended job never changes again, until its retention is over."""
        jobs = self.model.partition.jobs
        for job_id, before in list(self.ended.items()):
            held = self.server.space.data.get(self.keys.job(job_id))
            if held is not None and held != before:
                gone = held.get("submit_id") != before["submit_id"]  # type: ignore[union-attr]
                require(gone, f"{job_id} had ended, and changed: {before} became {held}")
            if job_id not in jobs or jobs[job_id].status not in TERMINAL:
                del self.ended[job_id]
                self.mark("retired")
        for job_id, job in jobs.items():
            if job_id not in self.ended and job.status in TERMINAL:
                self.ended[job_id] = dict(self.server.space.data[self.keys.job(job_id)])  # type: ignore[arg-type]

    def refused_retries(self) -> dict[str, str]:
        """Under which code each letter was refused again, last."""
        retries = [entry for entry in self.log if "retry_of" in entry.fields and entry.id in self.letters.codes]
        return {entry.fields["retry_of"]: self.letters.codes[entry.id] for entry in retries}

    # when history itself was lost

    def rewind(self) -> None:
        """The server has lost what came last: what it still holds is the truth from now on."""
        stream = self._stream(self._events)
        held = [entry for entry in self.log if id_of(entry.id) <= stream.last]
        self._continue_with(held[max(len(held) - stream.added, 0) :])  # without an archive that it had adopted since
        self.limits.rewind()

    def adopt(self) -> None:
        """The archive stands for what the log does not hold: before its first entry, or up to its last id."""
        stream = self._stream(self._events)
        end = stream.ids[0] if stream.ids else (stream.last[0], stream.last[1] + 1)
        archived = [(entry_id, flat) for entry_id, flat in self.readable() if id_of(entry_id) < end]
        entries = [
            self.by_id.get(entry_id) or Entry(entry_id, flat, self.limits.true_ms, False)
            for entry_id, flat in [*archived, *stream.entries]
        ]
        self._read_letters()
        self.new_logs.adopted(self.server.space.data.get(self._meta), stream, self.letters.codes)
        self._continue_with(entries)

    def _continue_with(self, entries: list[Entry]) -> None:
        kept = {entry.id for entry in entries}
        for entry in self.log:
            if entry.id not in kept and entry.fields.get("type") == "job.dispatched" and not entry.forged:
                self.lost.add(f"{entry.id}-{entry.fields['nonce']}")
        self.log = entries
        self.by_id = {entry.id: entry for entry in entries}
        self.trimmed = len(entries) - len(self._stream(self._events).ids)
        self.intake.rewind(entries)
        self.letters.rewind(self.by_id)
        self.new_logs.of(entries)
        self.refold()

    def refold(self) -> None:
        """Reset the model: what the state had folded is unknown."""
        self._read_letters()
        self._look_for_foreign()
        self._beats_read = ([("0-0", []), *self._stream(self._heartbeats).entries])[-1][0]
        self.forged.clear()
        self.limits.owed = {}
        self.model, self.folded, self.ended, self.intents = Model(self.forged, self.new_logs.refused), 0, {}, {}
        self.whole = self._is_whole()
        if self.follows:
            self._settle(OTHER, len(self.log), compare_all=True)


EVENT_MARKS = {
    "job.expired": "expired job",
    "job.due": "due",
    "job.extended": "extended",
    **{f"node.{did}": f"node {did}" for did in ("expired", "recovered", "reported", "retired")},
    "pool.retired": "pool retired",
    "source.retired": "source retired",
    "scheduler.resumed": "resumed",
}
