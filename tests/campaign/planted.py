"""Guards taken out one at a time, in the processes of a run only: the checker must notice each.

An edit replaces a text that stands in a source of the product exactly so; one that stands there no more is an error, so
that no planted bug is planted nowhere.
"""

from __future__ import annotations

from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType
from typing import Any, NamedTuple, cast


class Planted(NamedTuple):
    """A bug."""

    guard: str
    """What is taken out."""
    where: str
    """A module of the product, or ``lua`` for its composed scripts."""
    old: str
    new: str
    fault: str
    """Under which the bug must show."""
    rules: tuple[str, ...]
    """Which rules of the checker it must break, one of them at least."""


HOLDER = """  if attempt and attempt ~= job.attempt then
    fail('STALE_ATTEMPT', 'attempt ' .. attempt .. ' of job ' .. job_id .. ' is over: the job has moved on')
  end
  if not is_held(job) then
    fail('STALE_ATTEMPT', 'job_id ' .. job_id .. ' waits for a node: nobody holds it')
  end
  if node_id ~= job.node_id then
    fail('NODE_MISMATCH', 'node_id ' .. node_id .. ' does not hold job ' .. job_id .. ': ' .. job.node_id .. ' does')
  end
"""

PLANTED: dict[str, Planted] = {
    "holder": Planted(
        "only the holder's word counts, under its attempt", "lua", HOLDER, "", "late nodes", ("I2", "I3", "I5")
    ),
    "duplicate": Planted(
        "a submission repeated is the one that was accepted",
        "lua",
        "if rcall('EXISTS', (prefix .. 'job:' .. job_id)) == 0 then\n    return false",
        "if true then\n    return false",
        "replies to append lost",
        ("I3", "I5"),
    ),
    "forged": Planted(
        "decisions from outside are refused", "lua", "if fact and not decided then", "if false then", "poison", ("I3",)
    ),
    "letters": Planted(
        "a refused event becomes a dead letter", "lua", "    bury(stream, id, e, problem)\n", "", "poison", ("I3",)
    ),
    "outage": Planted(
        "an absence of the scheduler is held against nobody",
        "lua",
        "if not was_away(now - since) then",
        "if true then",
        "outage",
        ("expiry",),
    ),
    "clock": Planted(
        "time goes on behind a clock that was set back",
        "lua",
        "meta.last_call_ts + math.floor(passed / 2)",
        "meta.last_call_ts",
        "clock an hour ahead and back",
        ("I6",),
    ),
    "trim": Planted(
        "nothing is trimmed that is not archived",
        "lua",
        "local bound = not_behind(archived, watermark) and archived or watermark",
        "local bound = '+'",
        "archiver killed between steps",
        ("I1", "I4", "process"),
    ),
    "fsync": Planted(
        "a segment is on the disk before it is listed",
        "streamsched.archiver",
        "            segment.write(part, tables, said)\n            sync(part)\n",
        "            segment.write(part, tables, said)\n",
        "archiver loses power between steps",
        ("I1", "archive", "process"),
    ),
    "retry": Planted(
        "the client library repeats no append by itself",
        "streamsched.connection",
        '"retry": Retry(NoBackoff(), 0)',
        '"retry": Retry(NoBackoff(), 10)',
        "replies to XADD lost",
        ("once",),
    ),
    "repeat": Planted(
        "an append whose reply was lost is repeated",
        "streamsched.partition",
        "                if not is_away(problem):\n                    raise\n                if not self._known and",
        "                raise\n                if not self._known and",
        "replies to append lost",
        ("process",),
    ),
}
"""By name."""


def plant(name: str) -> None:
    """Take a guard out of this process; call it before anything of the product is imported."""
    bug = PLANTED[name]
    if bug.where == "lua":
        _edit_scripts(name)
    else:
        _edit_module(bug)


def _edit_module(bug: Planted) -> None:
    loader: Any = SourceFileLoader
    get_code = loader.get_code

    def edited(self: Any, fullname: str) -> CodeType | None:
        if fullname != bug.where:
            return get_code(self, fullname)  # type: ignore[no-any-return]
        return compile(_replaced(Path(self.path).read_text(), bug), self.path, "exec")

    loader.get_code = edited


def _edit_scripts(bug_name: str) -> None:
    from streamsched import scripts

    bug, product = PLANTED[bug_name], cast(Any, scripts)
    compose = product.compose
    texts = {name: compose(name) for name in ("append", "advance", "replay", "refold", "trim")}
    if not any(bug.old in text for text in texts.values()):
        raise ValueError(f"planted bug: {bug.old!r} stands in no script")
    product.compose = lambda name: with_bug(compose(name), bug_name)


def with_bug(text: str, name: str) -> str:
    """Return a composed script as a process with this bug has it; without a name as it is."""
    return text.replace(PLANTED[name].old, PLANTED[name].new) if name and PLANTED[name].where == "lua" else text


def _replaced(text: str, bug: Planted) -> str:
    if text.count(bug.old) != 1:
        raise ValueError(f"planted bug: {bug.old!r} does not stand once in {bug.where}")
    return text.replace(bug.old, bug.new)
