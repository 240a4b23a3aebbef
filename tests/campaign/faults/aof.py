"""The AOF cut at every byte of its last transactions: whole scripts only, and a state that is the fold of its log."""

from __future__ import annotations

import shutil
from itertools import chain
from pathlib import Path
from typing import ClassVar

import anyio
from redis import Redis

from streamsched.connection import connect
from streamsched.embedded import EmbeddedServer
from streamsched.entries import position
from streamsched.replay import State, difference, read_state

from ...model import Unlawful, fold
from ..check import Evidence
from ..stage import Stage
from ..story import Breach
from .fault import Fault

MULTI = b"*1\r\n$5\r\nMULTI\r\n"


class CutAof(Fault):
    """The server is killed, its AOF copied, and a server started on every prefix of the copy that ends in the tail."""

    name = "AOF cut at every byte"
    how = "SIGKILL to the server; a server is started on its AOF cut at each byte of the last transactions"
    heal_how = "the server is started on the whole AOF"
    hold_s = 0.0
    archives = False
    cuts: ClassVar[int] = 240
    """Bytes at which it is cut, around where one of the last transactions begins; which one is the seed's."""
    made = 0
    states = 0

    def strike(self, stage: Stage) -> None:
        stage.server.kill()
        shutil.copytree(stage.data, stage.folder / "cut", ignore=shutil.ignore_patterns("lock"))

    def heal(self, stage: Stage) -> None:
        stage.server.start()

    def judge(self, stage: Stage, evidence: Evidence) -> list[Breach]:
        file = next((stage.folder / "cut" / "appendonlydir").glob("*.incr.aof"))
        whole = file.read_bytes()
        begin = len(whole)
        for _ in range(1 + stage.seed % 8):
            begin = whole.rindex(MULTI, 0, begin)
        known: dict[tuple[str, ...], str] = {}
        breaches = []
        begin = max(0, min(begin, len(whole) - self.cuts // 2) - self.cuts // 2)
        for end in range(begin, min(begin + self.cuts, len(whole)) + 1):
            if found := self._look(stage, file, whole[:end], evidence, known):
                breaches.append(Breach("aof", f"cut at byte {end} of {len(whole)}: {found}"))
            self.made += 1
        self.states = len(known)
        return breaches

    def _look(self, stage: Stage, file: Path, cut: bytes, evidence: Evidence, known: dict[tuple[str, ...], str]) -> str:
        """Start a server on the cut file; returns what is wrong with what it has loaded."""
        file.write_bytes(cut)
        options = {"appendfsync": "no", "aof-load-truncated": "yes"}
        with EmbeddedServer(stage.folder / "cut", append_only=True, binary=stage.binary, options=options) as server:
            with Redis(port=server.port, decode_responses=True, protocol=2) as redis:
                meta = redis.hgetall(stage.keys("meta"))
                about = redis.xinfo_stream(stage.keys("events"))
            seen = tuple(map(str, (*sorted(meta.items()), about["last-generated-id"], about["entries-added"])))
            if seen not in known:
                known[seen] = self._problem(stage, server, meta, evidence)
        return known[seen]

    def _problem(self, stage: Stage, server: EmbeddedServer, meta: dict[str, str], evidence: Evidence) -> str:
        if meta.get("begin") != meta.get("done"):
            return f"a script in parts: begun {meta.get('begin')}, done {meta.get('done')}"
        watermark = meta.get("watermark", "0-0")
        folded = [one for one in evidence.entries if position(one[0]) <= position(watermark)]
        forged = {entry_id for entry_id, why in evidence.dead.items() if why.startswith("FORGED")}
        try:
            told = fold(((entry_id, [*chain(*fields.items())]) for entry_id, fields in folded), forged)
        except Unlawful as problem:
            return str(problem)
        apart = difference(anyio.run(_state, server.url, stage), told.state)
        return "; ".join(f"{key} is {one!r:.200}, not {other!r:.200}" for key, (one, other) in apart.items())

    def costs(self, stage: Stage, evidence: Evidence) -> dict[str, int]:
        return {"cuts": self.made, "states": self.states}


async def _state(url: str, stage: Stage) -> State:
    redis = connect(url)
    try:
        return await read_state(redis, stage.keys)
    finally:
        await redis.aclose()
