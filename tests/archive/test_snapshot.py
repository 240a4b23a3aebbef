"""A snapshot is the fold of the segments before it, is checked when read, and spares the fold of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pyarrow.parquet as pq
import pytest

from streamsched.archive.digest import StateDigest
from streamsched.archive.reader import Archive
from streamsched.archive.snapshot import Row
from streamsched.contract.entries import before
from streamsched.history.history import History, open_history
from streamsched.history.story import trace
from streamsched.log.live import LiveLog
from streamsched.replay import snapshot
from streamsched.replay.restore import restore
from streamsched.replay.values import read_state

from ..support.ledger import Ledger
from ..support.processes import Cli

pytestmark = pytest.mark.anyio


async def story(log: Ledger, name: str) -> None:
    await log.node("n1", "en-zh", "de-en")
    for n in range(4):
        await log.submit(f"{name}{n}")
        await log.tell("completed", f"{name}{n}", status="finished")
    await log.submit(f"{name}-waits", src="xx", tgt="yy")
    await log.add({"type": "job.cancelled", "job_id": "nobody"})
    await log.advance()


async def snapped(log: Ledger, cli: Cli) -> Path:
    """An archive with a snapshot in its middle; returns the snapshot."""
    await story(log, "a")
    assert cli.run("archive", "--to", "kept", "--once", "--max-events", "5").code == 0
    made = cli.run("snapshot", "--to", "kept", "--json", STREAMSCHED_URL="redis://127.0.0.1:1")
    assert made.code == 0, made.err
    await story(log, "b")
    assert cli.run("archive", "--to", "kept", "--once", "--max-events", "5").code == 0
    return Path(cli.folder / json.loads(made.out)["path"])


async def test_a_rebuild_from_a_snapshot_gives_the_same_state_as_one_from_the_first_event(
    log: Ledger, live: LiveLog, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = await snapped(log, cli)
    before = await read_state(log.redis, log.keys)
    soft = await log.redis.zrange(log.keys("expiry"), 0, -1)
    await log.redis.delete(*[key async for key in log.redis.scan_iter(match=log.keys.prefix + "*")])
    kept, read, whole = Archive.open(cli.folder / "kept", log.keys), list[Any](), Archive.read

    def noted(self: Archive, *arguments: Any) -> Any:
        read.append(arguments)
        return whole(self, *arguments)

    monkeypatch.setattr(Archive, "read", noted)
    await restore(log.redis, live, kept)
    assert read[-1][0] == path.stem, "what the snapshot holds is not folded again"
    assert await read_state(log.redis, log.keys) == before
    assert await log.redis.zrange(log.keys("expiry"), 0, -1) == soft, "or silent nodes would never expire"
    await log.advance()


async def test_a_load_that_was_killed_half_way_starts_over(
    log: Ledger, live: LiveLog, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    await snapped(log, cli)
    before = await read_state(log.redis, log.keys)
    await log.redis.delete(*[key async for key in log.redis.scan_iter(match=log.keys.prefix + "*")])
    kept = Archive.open(cli.folder / "kept", log.keys)
    put = snapshot._put

    async def dies(redis: Any, keys: Any, rows: list[Row], numbers: Any) -> None:
        if [row.name for row in rows] == ["meta"]:
            raise RuntimeError("killed")
        await put(redis, keys, rows, numbers)

    monkeypatch.setattr(snapshot, "_put", dies)
    with pytest.raises(RuntimeError, match="killed"):
        await restore(log.redis, live, kept)
    monkeypatch.undo()
    assert await log.redis.hget(log.keys("meta"), "rebuilding")
    await restore(log.redis, live, kept)
    assert await read_state(log.redis, log.keys) == before


@pytest.mark.parametrize("source", ["the live state", "the snapshot"])
async def test_the_story_of_a_job_begins_at_its_submission_and_reads_nothing_before(
    source: str, log: Ledger, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    await snapped(log, cli)
    submitted = (await log.job("a-waits"))["submit_id"]
    chunks, read = History.chunks, list[Any]()

    def noted(self: History, *arguments: Any) -> Any:
        read.append(arguments)
        return chunks(self, *arguments)

    monkeypatch.setattr(History, "chunks", noted)
    url = log.redis.connection_pool.connection_kwargs
    live = f"redis://127.0.0.1:{url['port']}" if source == "the live state" else None
    async with open_history(live, log.keys, cli.folder / "kept") as history:
        steps = [step async for step in trace(history, "job", "a-waits")]
    assert [step.id for step in steps] == [submitted]
    assert read == [(before(submitted),)]


async def test_a_moment_behind_a_snapshot_is_the_same_as_without_it(log: Ledger, cli: Cli) -> None:
    path = await snapped(log, cli)
    moment = (await log.hash("meta"))["watermark"]
    with_it = cli.run("at", moment, "--archive", "kept", "--offline", "--json").out
    path.unlink()
    assert json.loads(with_it) == json.loads(cli.run("at", moment, "--archive", "kept", "--offline", "--json").out)


def flipped(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[40] ^= 1
    path.write_bytes(bytes(data))


def restated(path: Path, **change: Any) -> None:
    table = pq.read_table(path)
    about = json.loads(pq.ParquetFile(path).metadata.metadata[b"snapshot"]) | change
    pq.write_table(table.replace_schema_metadata({"snapshot": msgspec.json.encode(about).decode()}), path)


DAMAGE: dict[str, tuple[Callable[[Path], Any], str]] = {
    "bit-flipped": (flipped, "ARCHIVE"),
    "truncated": (lambda path: path.write_bytes(path.read_bytes()[:-20]), "cannot be read"),
    "foreign": (lambda path: restated(path, namespace="other"), "is of other"),
    "altered": (lambda path: restated(path, digest="0" * 64), "its digest differs"),
    "renamed": (lambda path: path.rename(path.with_name("1-1.parquet")), "is not what it states"),
    "newer": (lambda path: restated(path, fold_version=99), "NEWER_LOG"),
}


@pytest.mark.parametrize("how", DAMAGE)
async def test_a_damaged_snapshot_is_named_with_the_remedy_and_never_used(how: str, log: Ledger, cli: Cli) -> None:
    path = await snapped(log, cli)
    damage, words = DAMAGE[how]
    damage(path)
    refused = cli.run("at", (await log.hash("meta"))["watermark"], "--archive", "kept", "--offline")
    assert refused.code == 1
    assert words in refused.err
    assert "delete it" in refused.err or "upgrade it" in refused.err


def test_a_digest_does_not_depend_on_the_order_but_on_everything_else() -> None:
    def digest(*rows: tuple[Any, ...]) -> str:
        found = StateDigest()
        for row in rows:
            found.add(*row)
        return found.hexdigest()

    one: list[tuple[Any, ...]] = [
        ("a", "hash", {"x": "1", "y": "2"}),
        ("s", "set", ["p", "q"]),
        ("l", "list", ["u", "v"]),
    ]
    assert digest(*one) == digest(("l", "list", ["v"], 1), ("s", "set", ["q"]), ("a", "hash", {"y": "2", "x": "1"}),
                                  ("s", "set", ["p"]), ("l", "list", ["u"]))  # fmt: skip
    different: list[list[tuple[Any, ...]]] = [
        [("a", "hash", {"x": "2", "y": "1"}), *one[1:]],
        [one[0], ("s", "set", ["p"]), one[2]],
        [one[0], one[1], ("l", "list", ["v", "u"])],
        [one[0], one[1], ("k", "list", ["u", "v"])],
    ]
    assert len({digest(*one), *(digest(*rows) for rows in different)}) == 5
