"""Bugs on purpose: each takes one guard away, in the tests alone, and the simulator must notice.

A row names the Lua source (or the Python name) and what stands there; a guard that has moved fails loudly, so that no
row goes on testing nothing. ``python -m tests.sim.planted`` plays them all and writes the table of ``docs/attacks.md``.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from streamsched.scripts import Source, lua_root, script, sources

from .run import simulate

SEEDS = Path(__file__).with_name("planted.json")
DOCS = Path(__file__).parent.parent.parent / "docs" / "attacks.md"
BEGIN, END = "<!-- planted bugs -->", "<!-- end of planted bugs -->"
LUA = [lua_root() / folder for folder in ("fold", "decide", "include", ".")]
LIMIT = 3000
"""Seeds after which a bug counts as one that nobody notices."""


def text_of(source: str) -> str:
    """Return what stands in the file of a Lua source."""
    file = f"{source.replace('.', '_')}.lua"
    return next((path / file).read_text() for path in LUA if (path / file).is_file())


@dataclass(frozen=True)
class Bug:
    """One guard, taken away."""

    guard: str
    """What it is for."""
    fault: str
    """What happens without it."""
    where: str
    """The Lua source, or the dotted Python name."""
    was: str = ""
    becomes: str = ""
    instead: Callable[..., Any] | None = None
    """In place of a Python name."""

    @contextmanager
    def planted(self) -> Iterator[None]:
        """Run without the guard.

        Raises:
            LookupError: what it is to replace is not there any more.
        """
        if self.instead is not None:
            with mock.patch(self.where, self.instead):
                yield
            return
        text = text_of(self.where)
        if (times := text.count(self.was)) != 1:
            raise LookupError(
                f"{self.where} holds {self.was!r} {times} times: mend the row {self.guard!r} of planted.py"
            )
        source = sources()[self.where]
        body = source.body
        source.body = Source(self.where, text.replace(self.was, self.becomes)).body
        script.cache_clear()
        try:
            yield
        finally:
            source.body = body
            script.cache_clear()


BUGS = [
    # who may speak for a job
    Bug(
        "only the current attempt is heard",
        "a late completion of a lost attempt ends the job",
        "held_job",
        "attempt and attempt ~= job.attempt",
        "false",
    ),
    Bug(
        "only the holder is heard",
        "a node ends a job that another holds",
        "held_job",
        "node_id ~= job.node_id",
        "false",
    ),
    Bug(
        "nobody speaks for a job that no node holds",
        "a job that waits is ended by its node of before",
        "held_job",
        "if not is_held(job) then",
        "if false then",
    ),
    Bug("an ended job is not ended again by its node", "it changes", "held_job", "is_terminal(job.status)", "false"),
    Bug("an ended job is not cancelled", "it changes", "job.cancelled", "is_terminal(job.status)", "false"),
    Bug(
        "a decision from outside is refused",
        "a forged one takes effect",
        "fold_event",
        "fact and not decided",
        "fact and false",
    ),
    Bug(
        "an attempt is named by a nonce, too",
        "after a lost end of the log the same attempt is issued again",
        "dispatch",
        "'nonce', nonce",
        "'nonce', '00000000'",
    ),
    Bug("the attempt's name holds the nonce", "the same", "job.dispatched", "id .. '-' .. nonce", "id .. '-'"),
    # what comes twice
    Bug(
        "a submission is known by its job_id",
        "the second one starts the job over",
        "submitted_before",
        "rcall('EXISTS', key.job(job_id)) == 0",
        "true",
    ),
    Bug(
        "a submission under a known job_id with other content is refused",
        "one of two jobs is lost without a word",
        "submitted_before",
        "field ~= 'reply_to' and (stored[i] or nil) ~= e[field]",
        "false",
    ),
    Bug(
        "the repeat of a completion changes nothing",
        "its sender is told that it is too late",
        "completed_before",
        "job.status == status and",
        "false and",
    ),
    Bug(
        "the repeat of a failed attempt's word changes nothing",
        "it is refused, or fails the next attempt",
        "completed_before",
        "attempt and status == 'failed' and",
        "false and",
    ),
    Bug(
        "an append carries an identity before it is sent",
        "the repeat of an append is a second job",
        "tests.sim.speaker.repeatable",
        instead=lambda flat: flat,
    ),
    Bug(
        "a job_id is chosen before the first try",
        "each try is another job",
        "tests.sim.speaker.Speaker.repeat",
        instead=lambda self: _repeat_under_another_name(self),
    ),
    Bug(
        "a request_id is remembered",
        "the repeat of an operator's word takes effect again",
        "requested_before",
        "if rcall('ZSCORE', key.requests, request) then",
        "if false then",
    ),
    # exactly once
    Bug(
        "the watermark moves with every entry",
        "an entry is folded twice",
        "fold_log",
        "meta.watermark, moved = id, true",
        "moved = true",
    ),
    Bug(
        "the watermark moves with what was appended",
        "an appended event is folded twice",
        "append_entry",
        "meta.watermark, moved = id, true",
        "moved = true",
    ),
    Bug(
        "what is refused becomes a dead letter",
        "it is gone without a word",
        "fold_event",
        "  if burying then",
        "  if false then",
    ),
    Bug(
        "a refused event leaves no plan behind",
        "half of it happens with the next one",
        "fold_event",
        "  abandon()\n",
        "",
    ),
    Bug(
        "a replay skips what was refused",
        "it is folded after all, forged decisions too",
        "replay",
        "skip[entries[i][1]]",
        "nil",
    ),
    Bug(
        "a call folds no more than its bound",
        "one call holds up the server",
        "fold_log",
        "'+', 'COUNT', left)",
        "'+')",
    ),
    Bug(
        "the log's entries are counted",
        "what was deleted unfolded goes unseen",
        "find_gap",
        "if added ~= meta.folded then",
        "if false then",
    ),
    Bug(
        "the group shows how far the fold is",
        "its lag says nothing",
        "close_call",
        "move_group(events, meta.watermark,",
        "move_group(events, '0-0',",
    ),
    # torn calls and rebuilds
    Bug(
        "the fence is the first write of a call",
        "a torn call is not noticed",
        "raise_fence",
        "rcall('HSET', key.meta, 'begin', fence)",
        "",
    ),
    Bug(
        "a fence is never that of the call before",
        "a torn call looks like the whole one before it",
        "raise_fence",
        "id == meta.done and id .. '\\'' or id",
        "id",
    ),
    Bug(
        "a call that breaks leaves its fence up",
        "the next one goes on over half of it",
        "guarded",
        "'begin', folding, 'done', 'torn'",
        "'begin', folding, 'done', folding",
    ),
    Bug(
        "what the server does not let a fold read is no fault of the event",
        "a good event becomes a dead letter",
        "fold_event",
        "or find(text, '^%u+ ')",
        "",
    ),
    Bug(
        "a key of another type halts the partition",
        "nobody mends it",
        "guarded",
        " or is_foreign(reason)",
        "",
    ),
    Bug(
        "live calls wait for a rebuild",
        "they go on over half a state",
        "open_call",
        "elseif v[5] then",
        "elseif false then",
    ),
    Bug(
        "a rebuild believes facts up to the old watermark only",
        "what a torn call had decided, or somebody forged, takes effect",
        "drop",
        "rcall('HGET', key.meta, 'rebuild_until') or folded_up_to()",
        "'+'",
    ),
    Bug(
        "a rebuild that begins anew remembers the old watermark",
        "true facts are refused as forged",
        "drop",
        "rcall('HGET', key.meta, 'rebuild_until') or",
        "",
    ),
    Bug(
        "a torn rebuild begins anew",
        "it goes on over half a state, or never ends",
        "condemn",
        "if phase and torn then",
        "if false then",
    ),
    Bug(
        "a state is condemned only if its log is whole",
        "a trimmed log is folded without its head",
        "condemn",
        "if missing > 0 then",
        "if false then",
    ),
    Bug(
        "letters of a torn call are taken back",
        "an event has two letters, or is folded and a dead letter",
        "drop",
        "rcall('XDEL', dead, letters[i][1])",
        "",
    ),
    Bug(
        "a state that is gone is not taken for a new one",
        "its log is folded as if nobody had decided anything",
        "open_call",
        "if not v[1] and not v[7] and folded_up_to() ~= '0-0' then",
        "if false then",
    ),
    Bug(
        "a replay delivers nothing",
        "nodes are sent old assignments again",
        "job.dispatched",
        "  if live then",
        "  if true then",
    ),
    Bug(
        "retention goes by the time of events",
        "a replay drops other jobs than were dropped",
        "retire",
        "config('retention_ms') > at then",
        "config('retention_ms') > (now > 0 and now or at) then",
    ),
    # trimming
    Bug(
        "the submission of an alive job is not trimmed",
        "its story has no beginning",
        "trim",
        "job[2] == id and not is_terminal(job[1])",
        "false",
    ),
    Bug(
        "nothing is trimmed that is not archived",
        "events are lost",
        "trim",
        "not_behind(archived, watermark) and archived or watermark",
        "watermark",
    ),
    Bug(
        "nothing is trimmed while the state is not whole",
        "a rebuild finds no log",
        "is_whole",
        "if v[1] and not v[2] and v[3] == v[4] then",
        "if v[1] then",
    ),
    # time
    Bug(
        "an absence of the scheduler is noticed",
        "it expires nodes and takes jobs away that nobody could have kept",
        "resume",
        "if not was_away(now - since) then",
        "if true then",
    ),
    Bug(
        "a limit that ran out in an absence starts anew",
        "jobs are taken away",
        "fire_timers",
        "due_ts > meta.resumed_since_ts and due_ts <= meta.resumed_ts",
        "false",
    ),
    Bug(
        "a node's silence counts from the end of an absence",
        "nodes are expired that nobody listened to",
        "expire_nodes",
        "meta.resumed_ts, meta.rebuilt_ts",
        "meta.rebuilt_ts",
    ),
    Bug(
        "a beat is heard before its node is expired",
        "a node that lives is expired",
        "expire_nodes",
        "tonumber(v[1] or 0)",
        "0",
    ),
    Bug(
        "a beat of before says nothing of now",
        "a node that has left is online again",
        "node.heartbeat",
        "elseif at >= since_ts then",
        "else",
    ),
    # who gets what, and where it waits
    Bug(
        "indexes are settled between two decisions",
        "a job goes to a node that is full",
        "decide",
        "settle_places()",
        "",
    ),
    Bug(
        "indexes are settled before a call ends",
        "the next one chooses by what was",
        "close_call",
        "  settle()\n",
        "",
    ),
    Bug(
        "a job goes elsewhere before it goes back",
        "it is sent to the node that failed it",
        "candidates",
        "excluded[node_id] and stale or fresh",
        "fresh",
    ),
    Bug(
        "a window bounds what a node has not begun",
        "a node that takes nothing is sent everything",
        "settle_node",
        "and tonumber(v[4]) < tonumber(v[5])",
        "",
    ),
    Bug("attempts are counted", "a job that fails is tried for ever", "may_try_again", "tonumber(v[1] or 0)", "0"),
    Bug(
        "an attempt that never began is not counted",
        "a job ends because nobody had room for it",
        "requeue",
        "local began = cause == 'failed' or",
        "local began = true or",
    ),
    Bug(
        "a job that leaves its node leaves its list",
        "one job is held by two nodes",
        "release",
        "want_member('SREM', key.node_jobs(job.node_id), job_id)",
        "",
    ),
    Bug(
        "a job that is dispatched leaves its queue",
        "it is dispatched again",
        "job.dispatched",
        "want_member('ZREM', key.waiting(job.src_lang, job.tgt_lang), job_id)",
        "",
    ),
    Bug("an ended job has no deadline", "it ends a second time", "finish", "want('ZREM', key.deadlines, job_id)", ""),
    Bug(
        "jobs of a node that went are given to others",
        "they are held for ever",
        "settle_node",
        "rcall('SADD', key.lost, node_id)",
        "rcall('SREM', key.lost, node_id)",
    ),
    Bug(
        "a priority goes before the order of submission",
        "it means nothing",
        "job.submitted",
        "tonumber(priority or 0)",
        "0",
    ),
    Bug(
        "what is gathered is written before it is read",
        "a decision sees what was",
        "written",
        "  if command then",
        "  if command and #command > 30 then",
    ),
]


def _repeat_under_another_name(speaker: Any) -> None:
    if speaker.unsure:
        events, raw, stream = speaker.unsure.pop()
        fresh = f"again{speaker.world.rng.getrandbits(32)}"
        speaker.send([event | ({"job_id": fresh} if "job_id" in event else {}) for event in events], raw, stream)


def hints(bug: Bug, limit: int = LIMIT) -> Iterator[int]:
    """Yield the seeds to look at, the one first that caught the bug when the table was written."""
    known = json.loads(SEEDS.read_text()).get(bug.guard) if SEEDS.exists() else None
    if known is not None:
        yield known
    yield from (seed for seed in range(limit) if seed != known)


def caught(bug: Bug, seeds: Iterable[int]) -> tuple[int | None, str]:
    """Return the first seed by which the simulator notices, and what it says; ``None`` if it does not."""
    with bug.planted():
        for seed in seeds:
            if violation := simulate(seed).violation:
                return seed, violation
    return None, ""


def shortened(violation: str) -> str:
    """What a violation says, without what differs from seed to seed."""
    if not violation:
        return "nothing"
    if "simulator broke" in violation:
        violation = violation.strip().splitlines()[-1]
    text = re.sub(r"\b\d{6,}-\d+(-\w+)?", "…", violation)
    text = re.sub(r"\b(j|n|s|w|again)\d+\b", r"\1…", text)
    return re.sub(r"[{\[].*", "…", text.splitlines()[0])[:100].strip()


def row(bug: Bug) -> str:
    """What the documentation says of a bug, but for the figures."""
    return f"| {bug.guard} | {bug.fault} |"


def main() -> int:
    """Play every bug from the first seed on, and write the table."""
    seeds: dict[str, int] = {}
    rows = ["| guard | without it | caught at seed | as |", "| --- | --- | --- | --- |"]
    for bug in BUGS:
        seed, said = caught(bug, range(LIMIT))
        print(f"{seed}  {bug.guard}: {shortened(said)}", flush=True)
        if seed is not None:
            seeds[bug.guard] = seed
        rows.append(f"{row(bug)} {seed} | {shortened(said)} |")
    SEEDS.write_text(json.dumps(seeds, indent=1, ensure_ascii=False) + "\n")
    text = DOCS.read_text()
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    DOCS.write_text(f"{before}{BEGIN}\n" + "\n".join(rows) + f"\n{END}{after}")
    print(f"{len(seeds)} of {len(BUGS)} caught")
    return len(BUGS) - len(seeds)


if __name__ == "__main__":
    sys.exit(main())
