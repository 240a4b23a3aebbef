"""Folds a recorded log, and says in one number what came of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from streamsched.archive.digest import StateDigest
from streamsched.contract.entries import Chunk, Entry
from streamsched.contract.keys import Keys
from streamsched.replay.values import read_state


def recorded(path: Path) -> tuple[Chunk, str]:
    """Read a golden log: its entries with what was refused, and the digest of its fold."""
    *lines, last = [json.loads(line) for line in path.read_text().splitlines()]
    entries = [Entry(line["id"], [part.encode() for part in line["flat"]]) for line in lines]
    return Chunk(entries, {line["id"]: line["refused"] for line in lines if line["refused"]}), last["digest"]


async def digest_of(redis: Any, keys: Keys) -> str:
    """Return the digest of a partition's state, soft fields aside."""
    digest = StateDigest()
    for name, value in (await read_state(redis, keys)).items():
        digest.add(name, await redis.type(keys.prefix + name), value)
    return digest.hexdigest()
