"""The AOF cut at every byte of its last transactions: whole scripts only, and a state that is the fold of its log."""

from __future__ import annotations

import shutil
from itertools import chain
from typing import ClassVar

import anyio
from redis import Redis

from streamsched.connect.client import connect
from streamsched.contract.entries import position
from streamsched.replay.values import State, difference, read_state
from streamsched.server.embedded import EmbeddedServer

from ....model import fold
from ....model.refusals import Unlawful
from ....support.servers.aof import LENIENT, MULTI, digests, log_of, states, tail
from ...checker.check import Evidence
from ...checker.story import Breach
from ...stage import Stage, StageFailed
from ..fault import Fault


class CutAof(Fault):
    """The server is killed, its AOF copied, and a server started on every prefix of the copy that ends in the tail."""

    name = "AOF cut at every byte"
    how = "SIGKILL to the server; a server loads its AOF cut at each byte of its last six transactions"
    heal_how = "the server is started on the whole AOF"
    hold_s = 0.0
    archives = False
    scripts: ClassVar[int] = 6
    made = 0
    found = 0

    def strike(self, stage: Stage) -> None:
        """Kill the server soon after a rewrite: what comes before the tail is loaded again at each byte of it."""
        with stage.redis as redis:
            redis.bgrewriteaof()
            begun = stage.until(lambda: not redis.info("persistence")["aof_rewrite_in_progress"], 20)
        enough = stage.until(lambda: log_of(stage.data).read_bytes().count(MULTI) > 2 * self.scripts, 20)
        if not begun or not enough:
            raise StageFailed("the AOF was not rewritten, or nothing was written to it behind that")
        stage.server.kill()
        shutil.copytree(stage.data, stage.folder / "cut", ignore=shutil.ignore_patterns("lock"))

    def heal(self, stage: Stage) -> None:
        stage.server.start()

    def judge(self, stage: Stage, evidence: Evidence) -> list[Breach]:
        data = stage.folder / "cut"
        whole = log_of(data).read_bytes()
        cuts = range(tail(whole, self.scripts), len(whole) + 1)
        self.made = len(cuts)
        breaches, changes = [], list(states(whole, digests(data, stage.binary, whole, cuts)))
        self.found = len(changes)
        for cut, problem in changes:
            log_of(data).write_bytes(whole[:cut])
            if problem := problem or self._look(stage, evidence):
                breaches.append(Breach("aof", f"cut at byte {cut} of {len(whole)}: {problem}"))
        return breaches

    def _look(self, stage: Stage, evidence: Evidence) -> str:
        """Start a server on the file as it is; returns what is wrong with what it has loaded."""
        with EmbeddedServer(stage.folder / "cut", append_only=True, binary=stage.binary, options=LENIENT) as server:
            with Redis(port=server.port, decode_responses=True, protocol=2) as redis:
                meta = redis.hgetall(stage.keys("meta"))
            return self._problem(stage, server, meta, evidence)

    def _problem(self, stage: Stage, server: EmbeddedServer, meta: dict[str, str], evidence: Evidence) -> str:
        if meta.get("begin") != meta.get("done"):
            return f"a script in parts: begun {meta.get('begin')}, done {meta.get('done')}"
        watermark = meta.get("watermark", "0-0")
        folded = [one for one in evidence.entries if position(one[0]) <= position(watermark)]
        forged = {entry_id for entry_id, why in evidence.dead.items() if why.startswith("FORGED")}
        try:
            outcome = fold(((entry_id, [*chain(*fields.items())]) for entry_id, fields in folded), forged)
        except Unlawful as problem:
            return str(problem)
        apart = difference(anyio.run(_state, server.url, stage), outcome.state)
        return "; ".join(f"{key} is {one!r:.200}, not {other!r:.200}" for key, (one, other) in apart.items())

    def costs(self, stage: Stage, evidence: Evidence) -> dict[str, int]:
        return {"cuts": self.made, "states": self.found}


async def _state(url: str, stage: Stage) -> State:
    redis = connect(url)
    try:
        return await read_state(redis, stage.keys)
    finally:
        await redis.aclose()
