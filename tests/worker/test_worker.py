"""Workers, alone and in numbers: what they survive, what they repair, and what they only report."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

import anyio
import pytest
from redis.asyncio import Redis

from streamsched.client.requests import RegisterNodeRequest, SubmitRequest
from streamsched.client.scheduler import Scheduler
from streamsched.contract.errors import LogGap
from streamsched.contract.keys import Keys
from streamsched.replay.rebuild import drop, refold
from streamsched.replay.values import difference, read_state
from streamsched.server.embedded import EmbeddedServer, free_port
from streamsched.worker.worker import Worker

from ..support.live import running, until
from ..support.processes import Cli, eventually
from ..support.servers.aof import SYNCED


@pytest.fixture
def cli(server: EmbeddedServer, keys: Keys, tmp_path: Path) -> Iterator[Cli]:
    cli = Cli(server.url, keys, tmp_path)
    yield cli
    cli.end()


def health(port: int) -> tuple[int, dict[str, Any]]:
    """Ask the probe; code 0 without an answer."""
    try:
        with urlopen(f"http://127.0.0.1:{port}/", timeout=5) as reply:
            return reply.status, json.load(reply)
    except HTTPError as problem:
        return problem.code, json.load(problem)
    except URLError:
        return 0, {}


async def differs_from_its_log(redis: Redis, keys: Keys) -> dict[str, Any]:
    """Fold the log into a scratch namespace, and return where the live state is another one."""
    scratch = Keys(keys.namespace + "-scratch")
    await refold(redis, keys, scratch)
    found = difference(await read_state(redis, keys), await read_state(redis, scratch))
    await drop(redis, scratch)
    return found


class RawNodes:
    """Nodes that append by bare ``XADD``, so that only the workers advance the partition."""

    def __init__(self, cli: Cli, count: int) -> None:
        self.redis, self.keys = cli.redis, cli.keys
        self.seen = {f"n{n}": "0-0" for n in range(count)}
        for node_id in self.seen:
            self.add(type="node.registered", node_id=node_id, cap_json="{}", pool_names_json='[{"name":"en-zh"}]')
            self.add(type="node.heartbeat", node_id=node_id, online="true")

    def add(self, **fields: str) -> None:
        self.redis.xadd(self.keys("events"), fields)

    def work(self) -> None:
        """Start and complete every job that has arrived in an inbox."""
        for key, entries in self.redis.xread({self.keys.inbox(n): last for n, last in self.seen.items()}):
            for entry_id, job in entries:
                facts = {name: job[name] for name in ("job_id", "node_id", "attempt")}
                self.add(type="job.started", **facts)
                self.add(type="job.completed", status="finished", **facts)
                self.seen[key.rpartition(":")[2]] = entry_id


def test_killed_workers_lose_nothing(cli: Cli) -> None:
    workers = [cli.start("worker") for _ in range(4)]
    nodes = RawNodes(cli, 4)
    submitted = 0

    def finished() -> int:
        nodes.work()
        return int(cli.redis.hget(cli.keys("counters"), "finished") or 0)

    def half_done() -> bool:
        return finished() >= submitted - 100

    eventually(lambda: all("worker started" in cli.output(worker) for worker in workers))
    for victim in (workers[0], workers[1], workers[2]):
        for _ in range(200):
            submitted += 1
            facts = {"job_id": f"j{submitted}", "session_id": f"s{submitted % 7}", "payload_json": "x"}
            nodes.add(type="job.submitted", src_lang="en", tgt_lang="zh", **facts)
        eventually(half_done)
        victim.kill()
        workers.append(cli.start("worker"))
    # those that came for the dead are at work before the last of the first ones dies
    eventually(lambda: all("worker started" in cli.output(worker) for worker in workers))
    workers[3].kill()
    eventually(lambda: finished() == submitted)
    counters = cli.redis.hgetall(cli.keys("counters"))
    assert (counters["submitted"], counters["finished"]) == ("600", "600")
    assert cli.redis.xlen(cli.keys("dead")) == 0
    assert [cli.stop(worker) for worker in workers[4:]] == [0, 0, 0]

    async def check() -> None:
        async with Redis.from_url(cli.url, protocol=2, decode_responses=True) as redis:
            assert await differs_from_its_log(redis, cli.keys) == {}

    anyio.run(check)


def test_a_worker_survives_its_server_and_says_so_on_its_probe(keys: Keys, tmp_path: Path) -> None:
    with EmbeddedServer(tmp_path / "server", append_only=True, options=SYNCED) as server:
        cli, port = Cli(server.url, keys, tmp_path), free_port()

        def folded_one_more() -> None:
            before = int(cli.redis.hget(keys("meta"), "folded") or 0)
            cli.redis.xadd(keys("events"), {"type": "session.released", "session_id": "s1"})
            eventually(lambda: int(cli.redis.hget(keys("meta"), "folded") or 0) == before + 1)

        try:
            worker = cli.start("worker", "--health", f"127.0.0.1:{port}")
            eventually(lambda: health(port)[0] == 200)
            folded_one_more()
            cli.redis.script_flush()
            folded_one_more()
            server.kill()
            code, outcome = eventually(lambda: health(port)[1].get("status") == "server away" and health(port))
            assert code == 503
            assert "Connect" in outcome["problem"] or "closed" in outcome["problem"]
            server.start()
            eventually(lambda: health(port)[0] == 200)
            assert cli.redis.hget(keys("meta"), "folded") == "2"
            folded_one_more()
            assert cli.stop(worker) == 0
        finally:
            cli.end()
        events = [json.loads(line) for line in cli.output(worker).splitlines()]
        told_of = [event["event"] for event in events]
        assert told_of[:2] == ["health probe", "worker started"]
        assert told_of[-1] == "worker stopped"
        assert told_of.count("server away") == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stopped_worker_leaves_the_group(
    servers: dict[str, EmbeddedServer], keys: Keys, tmp_path: Path, number: int
) -> None:
    cli = Cli(servers["valkey"].url, keys, tmp_path)
    try:
        worker = cli.start("worker", "--log-format", "console")
        eventually(lambda: cli.redis.exists(keys("events")) and cli.redis.xinfo_consumers(keys("events"), "fold"))
        assert cli.stop(worker, number) == 0
        assert cli.redis.xinfo_consumers(keys("events"), "fold") == []
        assert "worker stopped" in cli.output(worker)
    finally:
        cli.end()


@pytest.mark.parametrize("address", ["8080", "127.0.0.1:http", "127.0.0.1:99999", "203.0.113.1:8080"])
def test_a_probe_address_that_cannot_be_used_is_a_usage_error(
    servers: dict[str, EmbeddedServer], keys: Keys, tmp_path: Path, address: str
) -> None:
    refused = Cli(servers["valkey"].url, keys, tmp_path).run("worker", "--health", address)
    assert refused.code == 2
    assert f"--health {address}" in refused.err


def test_a_gap_in_the_log_is_reported_and_nothing_is_decided_on_it(cli: Cli) -> None:
    facts = {"session_id": "s1", "src_lang": "en", "tgt_lang": "zh", "payload_json": "x"}
    cli.redis.xadd(cli.keys("events"), {"type": "job.submitted", "job_id": "j1", **facts, "immediate": "true"})
    lost = cli.redis.xadd(cli.keys("events"), {"type": "session.released", "session_id": "s1"})
    cli.redis.xdel(cli.keys("events"), lost)
    port = free_port()
    worker = cli.start("worker", "--health", f"127.0.0.1:{port}")
    code, outcome = eventually(lambda: health(port)[1].get("status") == "the log has a gap" and health(port))
    assert code == 503
    assert "GAP: the log took in 2 entries, 1 were folded" in outcome["problem"]
    assert "restore it" in outcome["problem"]
    refused = cli.run("append", "session.released", "session_id=s2")
    assert refused.code == 1
    assert "GAP" in refused.err
    # a job that asked for a node at once would have been refused, had anything been decided
    assert cli.redis.hget(cli.keys.job("j1"), "status") == "created"
    assert cli.stop(worker) == 0
    assert cli.output(worker).count("the log has a gap") == 1


@pytest.mark.anyio
async def test_a_torn_state_is_rebuilt_by_the_worker_while_appends_wait_and_succeed(
    server: EmbeddedServer, keys: Keys
) -> None:
    async with running(server, keys) as scheduler:
        redis = scheduler.partition.redis
        await scheduler.register_node(
            RegisterNodeRequest(node_id="n1", cap_json="{}", pool_names_json='[{"name":"en-zh"}]')
        )
        for n in range(50):
            await submit(scheduler, f"before{n}")
        await redis.hset(keys("meta"), mapping={"begin": "1-1", "done": "torn"})
        await redis.delete(keys.job("before7"), keys("waiting", "en", "zh"))
        async with anyio.create_task_group() as group:
            for n in range(20):
                group.start_soon(submit, scheduler, f"after{n}")
        counters: Any = await redis.hgetall(keys("counters"))
        assert (counters["submitted"], int(counters["waiting"]) + int(counters["held"])) == ("70", 70)
        assert await redis.hexists(keys("meta"), "rebuilt_ts")
        assert await differs_from_its_log(redis, keys) == {}


@pytest.mark.anyio
async def test_several_workers_may_rebuild_at_once(server: EmbeddedServer, keys: Keys) -> None:
    async with Scheduler.connect(server.url, keys.namespace) as scheduler:
        redis = scheduler.partition.redis
        async with anyio.create_task_group() as group:
            for n in range(2500):
                group.start_soon(submit, scheduler, f"j{n}")
        await redis.hset(keys("meta"), mapping={"begin": "1-1", "done": "torn"})
        workers = [Worker(server.url, keys) for _ in range(3)]

        async def all_work() -> bool:
            return all(worker.status == "ok" for worker in workers)

        async with anyio.create_task_group() as group:
            for worker in workers:
                group.start_soon(worker.run)
            await until(all_work)
            for worker in workers:
                worker.stop()
        assert await redis.hget(keys("counters"), "submitted") == "2500"
        assert await differs_from_its_log(redis, keys) == {}


@pytest.mark.anyio
async def test_the_group_shows_no_lag_at_rest_and_the_true_one_while_no_worker_runs(
    server: EmbeddedServer, keys: Keys
) -> None:
    async with Redis.from_url(server.url, protocol=2, decode_responses=True) as redis:

        async def lag() -> int | None:
            groups: Any = await redis.xinfo_groups(keys("events"))
            found: int | None = groups[0]["lag"]
            return found

        async def add(count: int) -> None:
            for n in range(count):
                await redis.xadd(keys("events"), {"type": "session.released", "session_id": f"s{n}"})

        async def work_off(count: int) -> None:
            worker = Worker(server.url, keys)

            async def folded() -> bool:
                return worker.folded == count

            async with anyio.create_task_group() as group:
                group.start_soon(worker.run)
                await until(folded)
                assert await lag() == 0
                worker.stop()

        await add(5)
        await work_off(5)
        assert await lag() == 0
        await add(300)
        assert await lag() == 300
        await work_off(305)
        assert await lag() == 0


@pytest.mark.anyio
async def test_an_append_into_a_log_with_a_gap_is_refused_at_once(server: EmbeddedServer, keys: Keys) -> None:
    async with running(server, keys) as scheduler:
        await submit(scheduler, "j1")
        redis = scheduler.partition.redis
        await redis.delete(keys("events"))
        await redis.xadd(keys("events"), {"type": "session.released", "session_id": "s1"}, id="9999999999999-0")
        await redis.xadd(keys("events"), {"type": "session.released", "session_id": "s1"})
        with pytest.raises(LogGap, match="restore it, then rebuild"):
            await submit(scheduler, "j2")


async def submit(scheduler: Scheduler, job_id: str) -> None:
    request = SubmitRequest(job_id=job_id, session_id="s1", src_lang="en", tgt_lang="zh", payload_json="x")
    await scheduler.submit(request, reply=False)


@pytest.mark.anyio
async def test_a_worker_on_a_replica_waits_and_takes_over_when_it_is_promoted(keys: Keys) -> None:
    with EmbeddedServer() as primary, EmbeddedServer(options={"replicaof": f"127.0.0.1 {primary.port}"}) as replica:
        async with Scheduler.connect(primary.url, keys.namespace) as scheduler:
            await scheduler.register_node(
                RegisterNodeRequest(node_id="n1", cap_json="{}", pool_names_json='[{"name":"en-zh"}]')
            )
            request = SubmitRequest(session_id="s1", src_lang="en", tgt_lang="zh", payload_json="{}", job_id="j1")
            await scheduler.submit(request)
            before = await read_state(scheduler.partition.redis, keys)
        worker = Worker(replica.url, keys)
        async with Redis.from_url(replica.url, decode_responses=True) as redis, anyio.create_task_group() as group:
            group.start_soon(worker.run)

            async def refused() -> bool:
                return "READONLY" in worker.problem

            async def replicated() -> bool:
                return await read_state(redis, keys) == before

            await until(replicated)
            await until(refused)
            primary.kill()
            await redis.replicaof("NO", "ONE")

            async def healthy() -> bool:
                return worker.healthy

            await until(healthy)
            await redis.xadd(keys("heartbeats"), {"type": "node.heartbeat", "node_id": "n1", "online": "true"})

            async def dispatched() -> bool:
                return bool(await redis.hget(keys.job("j1"), "status") == "dispatched")

            await until(dispatched)
            assert await differs_from_its_log(redis, keys) == {}
            worker.stop()
