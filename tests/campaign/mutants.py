"""Guards taken out one at a time, in the processes of a run only: the checker must notice each."""

from __future__ import annotations

from dataclasses import dataclass

from streamsched.engine.composition import compose
from streamsched.engine.source import sources

from ..support.planting import Bug

HOLDER = """  if attempt and attempt ~= job.attempt then
    refuse_event('STALE_ATTEMPT', 'attempt ' .. attempt .. ' of job ' .. job_id .. ' is over: the job has moved on')
  end
  if not is_held(job) then
    refuse_event('STALE_ATTEMPT', 'job_id ' .. job_id .. ' waits for a node: no node holds it')
  end
  if node_id ~= job.node_id then
    refuse_event('NODE_MISMATCH', 'node_id ' .. node_id .. ' does not hold job ' .. job_id .. ': ' .. job.node_id
      .. ' does')
  end
"""


@dataclass(frozen=True)
class Planted:
    """A bug, and where it must show."""

    bug: Bug
    under: str
    """The fault that is played."""
    rules: tuple[str, ...]
    """Which rules of the checker it must break, one of them at least."""


PLANTED: dict[str, Planted] = {
    "holder": Planted(
        Bug("only the holder's word counts, under its attempt", "any node ends any job", "state/job", HOLDER),
        "late nodes",
        ("I2", "I3", "I5"),
    ),
    "duplicate": Planted(
        Bug(
            "a submission repeated is the one that was accepted",
            "it starts the job over",
            "state/repeat",
            "rcall('EXISTS', key.job(job_id)) == 0",
            "true",
        ),
        "replies to append lost",
        ("I3", "I5"),
    ),
    "forged": Planted(
        Bug(
            "decisions from outside are refused",
            "a forged one takes effect",
            "call/event",
            "if fact and not decided then",
            "if false then",
        ),
        "poison",
        ("I3",),
    ),
    "letters": Planted(
        Bug(
            "a refused event becomes a dead letter",
            "it is gone silently",
            "call/event",
            "    write_dead_letter(stream, id, e, problem)\n",
        ),
        "poison",
        ("I3",),
    ),
    "outage": Planted(
        Bug(
            "an absence of the scheduler has no effect on limits",
            "it costs nodes and attempts",
            "decide/absence",
            "if not was_away(now - since) then",
            "if true then",
        ),
        "outage",
        ("expiry",),
    ),
    "clock": Planted(
        Bug(
            "time goes on behind a clock that was set back",
            "nothing falls due for an hour",
            "call/open",
            "meta.last_call_ts + math.floor(passed / 2)",
            "meta.last_call_ts",
        ),
        "clock an hour ahead and back",
        ("I6",),
    ),
    "trim": Planted(
        Bug(
            "nothing is trimmed that is not archived",
            "events are lost",
            "trim_log",
            "local bound = at_or_before(archived, watermark) and archived or watermark",
            "local bound = '+'",
        ),
        "archiver killed between steps",
        ("I1", "I4", "process"),
    ),
    "fsync": Planted(
        Bug(
            "a segment is on the disk before it is listed",
            "what was trimmed is half on the disk",
            "streamsched.archive.writer",
            "            segment.write(part, tables, metadata(self.archive.manifest, piece))\n            sync(part)\n",
            "            segment.write(part, tables, metadata(self.archive.manifest, piece))\n",
        ),
        "archiver loses power between steps",
        ("I1", "archive", "process"),
    ),
    "retry": Planted(
        Bug(
            "the client library repeats no append by itself",
            "one XADD becomes several entries",
            "streamsched.connect.client",
            '"retry": Retry(NoBackoff(), 0)',
            '"retry": Retry(NoBackoff(), 10)',
        ),
        "replies to XADD lost",
        ("once",),
    ),
    "supervisor": Planted(
        Bug(
            "a background task that fails is started again",
            "its callers wait for ever",
            "streamsched.connect.background",
            "        await backoff.wait()\n",
            "        return\n",
        ),
        "rights taken",
        ("I7",),
    ),
    "half state": Planted(
        Bug(
            "a state is read when it is whole",
            "callers are told that their job is lost",
            "streamsched.engine.partition",
            "in (before, behind):",
            "in ():",
        ),
        "rebuilds under waiting clients",
        ("I7",),
    ),
    "refund": Planted(
        Bug(
            "an attempt that may have begun is counted when it is handed back",
            "a job that takes its node down is tried for ever",
            "decide/requeue",
            "or job.begun and true",
            "",
        ),
        "jobs that crash their node, under a supervisor",
        ("attempts", "I6"),
    ),
    "repeat": Planted(
        Bug(
            "an append whose reply was lost is repeated",
            "its caller is left alone with it",
            "streamsched.engine.partition",
            "if not is_away(problem):\n                    raise\n                if not self._known and",
            "raise\n                if not self._known and",
        ),
        "replies to append lost",
        ("process",),
    ),
}
"""By name."""


def composed(script: str, name: str) -> str:
    """Return a script as a process has it in which this bug is planted; without a name as it is."""
    if not name or PLANTED[name].bug.where not in sources():
        return compose(script)
    with PLANTED[name].bug.planted():
        return compose(script)
