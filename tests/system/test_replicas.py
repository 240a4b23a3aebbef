"""Replicas: what may be read from one, what is refused there, and masters that lack theirs, move or ask for a login."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from redis import Redis

from streamsched.client.requests import RegisterNodeRequest, SubmitRequest
from streamsched.client.scheduler import Scheduler
from streamsched.connect.client import connect
from streamsched.contract.errors import ServerCannotReplicate, ServerReadOnly, ServerUnreachable
from streamsched.contract.keys import Keys
from streamsched.engine.partition import Partition, open_partition
from streamsched.server.embedded import EmbeddedServer, free_port
from streamsched.worker.worker import Worker

from ..campaign.proxy import Proxy
from ..support.ledger import Ledger
from ..support.live import until
from ..support.processes import SUBMIT, Cli, eventually
from ..support.servers.watched import AT_ONCE

pytestmark = pytest.mark.anyio


def follower(master: EmbeddedServer) -> EmbeddedServer:
    return EmbeddedServer(binary=master.binary, options={**AT_ONCE, "replicaof": f"127.0.0.1 {master.port}"})


async def in_step(keys: Keys, *servers: EmbeddedServer) -> None:
    """Wait until all servers have folded as much."""
    clients: list[Any] = [connect(server.url) for server in servers]

    async def same() -> bool:
        folded = [await client.hget(keys("meta"), "folded") for client in clients]
        return folded[0] is not None and len(set(folded)) == 1

    await until(same)
    for client in clients:
        await client.aclose()


def job(job_id: str) -> SubmitRequest:
    return SubmitRequest(job_id=job_id, session_id="s1", src_lang="en", tgt_lang="zh", payload_json="{}")


async def test_a_master_that_lacks_its_replicas_is_waited_for_and_takes_nothing_in(binary: Path, keys: Keys) -> None:
    options = {**AT_ONCE, "min-replicas-to-write": "1", "min-replicas-max-lag": "10"}
    with EmbeddedServer(binary=binary, options=options) as master:
        async with open_partition(master.url, keys, patience_s=0.2) as partition:
            with pytest.raises(ServerCannotReplicate, match="min-replicas-to-write"):
                await partition.append_soon(["type", "session.released", "session_id", "s1"])
            with pytest.raises(ServerCannotReplicate):
                await partition.advance()
            assert await partition.redis.dbsize() == 0
            partition.patience_s = 30
            waiting = partition.append_soon(["type", "session.released", "session_id", "s1"])
            with follower(master):
                with anyio.fail_after(20):
                    await waiting
                assert await partition.redis.xlen(keys("events")) == 1
                master.kill()


READING = [
    ("status",),
    ("trace", "job", "j1"),
    ("verify",),
    ("archive", "--to", "kept", "--once"),
    ("query", "SELECT count(*) FROM jobs"),
]
WRITING = [
    ("append", "session.released", "session_id=s1"),
    (*SUBMIT, "hello"),
    ("rebuild", "--yes"),
    ("archive", "--to", "kept", "--once", "--trim", "--yes"),
]


async def test_what_only_reads_works_on_a_replica_and_what_writes_says_where_to_go(keys: Keys, tmp_path: Path) -> None:
    with EmbeddedServer(options=AT_ONCE) as master, follower(master) as replica:
        redis: Any = connect(master.url)
        log = Ledger(redis, keys)
        await log.node()
        await log.submit("j1")
        await in_step(keys, master, replica)
        cli = Cli(replica.url, keys, tmp_path)
        for command in READING:
            done = await anyio.to_thread.run_sync(cli.run, *command)
            assert done.code == 0, (command, done)
            assert ("read from a replica" in done.out) == (command == ("status",))
        for command in WRITING:
            done = await anyio.to_thread.run_sync(cli.run, *command)
            assert (done.code, "READONLY" in done.err) == (1, True), (command, done)
            assert "connect to the primary" in done.err
        assert await redis.xlen(keys("events")) == len(await log.types())
        await redis.aclose()
        master.kill()


async def test_a_replica_has_what_was_delivered(keys: Keys) -> None:
    with EmbeddedServer(append_only=True, options=AT_ONCE) as master, follower(master) as replica:
        redis: Any = connect(master.url)
        log = Ledger(redis, keys)
        await log.node()
        await log.submit("j1", reply_to="me")
        await log.tell("completed", status="finished")
        await in_step(keys, master, replica)
        copy: Any = connect(replica.url)
        for stream in (keys.inbox("n1"), keys.reply("me")):
            assert await copy.xrange(stream) == await redis.xrange(stream) != []
        await copy.aclose()
        await redis.aclose()
        master.kill()


@pytest.fixture
async def door(keys: Keys) -> AsyncIterator[tuple[Proxy, EmbeddedServer, EmbeddedServer]]:
    """An address that moves from a master to its replica."""
    with EmbeddedServer(options=AT_ONCE) as master, follower(master) as replica, Proxy(master.port) as door:
        yield door, master, replica
        master.kill()
        replica.kill()


async def test_a_writer_waits_until_the_address_of_its_master_leads_to_the_next_one(
    door: tuple[Proxy, EmbeddedServer, EmbeddedServer], keys: Keys
) -> None:
    address, master, replica = door
    worker = Worker(address.url, keys)
    async with anyio.create_task_group() as group, Scheduler.connect(address.url, keys.namespace) as scheduler:
        group.start_soon(worker.run)
        await scheduler.register_node(
            RegisterNodeRequest(node_id="n1", cap_json="{}", pool_names_json='[{"name":"en-zh"}]')
        )
        await in_step(keys, master, replica)
        one, other = connect(master.url), connect(replica.url)
        await other.replicaof("NO", "ONE")
        await one.replicaof("127.0.0.1", replica.port)

        async def refused() -> bool:
            return "READONLY" in worker.problem

        async def advancing() -> bool:
            return worker.healthy and worker.folded > 1

        await until(refused)
        async with anyio.create_task_group() as submitting:
            submitting.start_soon(scheduler.submit, job("j1"))
            address.lead_to(replica.port)
        assert await other.hget(keys.job("j1"), "status") == "dispatched"
        await until(advancing)
        worker.stop()
        for client in (one, other):
            await client.aclose()


async def test_a_client_of_a_replica_gets_an_error_at_once(keys: Keys) -> None:
    with EmbeddedServer(options=AT_ONCE) as master, follower(master) as replica:
        redis = connect(replica.url)
        partition = Partition(redis, keys, patience_s=3600)
        with anyio.fail_after(20), pytest.raises(ServerReadOnly, match="connect to the primary"):
            await partition.append_soon(["type", "session.released", "session_id", "s1"])
        await partition.close()
        master.kill()


@pytest.fixture
def guarded(binary: Path, tmp_path: Path) -> Iterator[tuple[EmbeddedServer, int]]:
    """A server and its sentinel, each with a password of its own; yields the server and the sentinel's port."""
    with EmbeddedServer(binary=binary) as server:
        with Redis(port=server.port) as admin:
            admin.config_set("requirepass", "ser:ver")
        port, config = free_port(), tmp_path / "sentinel.conf"
        config.write_text(
            f"port {port}\nbind 127.0.0.1\ndir {tmp_path}\nrequirepass sen/tinel\n"
            f"sentinel monitor m 127.0.0.1 {server.port} 1\nsentinel auth-pass m ser:ver\n"
        )
        with (tmp_path / "sentinel.log").open("w") as output:
            sentinel = subprocess.Popen([binary, config, "--sentinel"], stdout=output, stderr=subprocess.STDOUT)
        try:
            with Redis(port=port, password="sen/tinel", decode_responses=True, protocol=2) as probe:
                eventually(lambda: knows(probe))
            yield server, port
        finally:
            sentinel.kill()
            sentinel.wait()


def knows(probe: Redis) -> bool:
    try:
        return "m" in probe.sentinel_masters()
    except ConnectionError:
        return False


async def test_server_and_sentinels_each_have_a_login(guarded: tuple[EmbeddedServer, int], keys: Keys) -> None:
    _, port = guarded
    right = f"redis+sentinel://:ser%3Aver@127.0.0.1:{port}/m?sentinel_password=sen%2Ftinel"
    async with Scheduler.connect(right, keys.namespace) as scheduler:
        await scheduler.submit(job("j1"))
    for url, whose in (
        (right.replace("sen%2F", "wrong"), "a sentinel"),
        (right.replace("?sentinel_password=sen%2Ftinel", ""), "a sentinel"),
        (right.replace("ser%3A", "wrong"), "the server refused the login"),
    ):
        with anyio.fail_after(20), pytest.raises(ServerUnreachable, match=whose) as refused:
            async with Scheduler.connect(url, keys.namespace, patience_s=3600):
                pass
        assert "wrong" not in str(refused.value)


async def test_a_name_that_no_sentinel_knows_is_named_with_those_they_know(
    guarded: tuple[EmbeddedServer, int], keys: Keys
) -> None:
    _, port = guarded
    url = f"redis+sentinel://:ser%3Aver@127.0.0.1:{port}/other?sentinel_password=sen%2Ftinel"
    with pytest.raises(ServerUnreachable, match=rf"'other': 127.0.0.1:{port} knows \['m'\]"):
        async with Scheduler.connect(url, keys.namespace, patience_s=0.1):
            pass
