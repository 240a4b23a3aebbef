"""Servers, sentinels and clusters whose addresses are those of IPv6."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from streamsched.connect.client import connect, where_is
from streamsched.server.embedded import EmbeddedServer, free_port

from ..support.processes import eventually
from ..support.servers.watched import ask

pytestmark = pytest.mark.anyio

SENTINEL = """port {port}
bind 127.0.0.1 ::1
dir {folder}
sentinel monitor m ::1 {master} 1
"""


@pytest.fixture(autouse=True)
def loopback() -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6")


def bound(binary: Path, folder: Path, **options: str) -> EmbeddedServer:
    """Make a server that listens on both loopback addresses."""
    (folder / "bind.conf").write_text("bind 127.0.0.1 ::1\n")
    return EmbeddedServer(binary=binary, options={**options, "include": str(folder / "bind.conf")})


@pytest.fixture
def sentinel(binary: Path, tmp_path: Path) -> Iterator[tuple[int, int]]:
    """A sentinel and the server that it watches, by their ports."""
    port = free_port()
    with bound(binary, tmp_path) as server:
        config = tmp_path / "sentinel.conf"
        config.write_text(SENTINEL.format(port=port, folder=tmp_path, master=server.port))
        with (tmp_path / "sentinel.log").open("wb") as log:
            process = subprocess.Popen([binary, config, "--sentinel"], stdout=log, stderr=log)
        try:
            eventually(lambda: "flags" in str(ask(port, "SENTINEL", "MASTER", "m")))
            yield port, server.port
        finally:
            process.kill()
            process.wait()


async def test_sentinels_and_the_server_they_name_may_have_ipv6_addresses(sentinel: tuple[int, int]) -> None:
    port, master = sentinel
    gone = free_port()
    redis = connect(f"redis+sentinel://[::1]:{gone},[::1]:{port}/m")
    assert where_is(redis) == f"m (sentinels [::1]:{gone}, [::1]:{port})"
    assert (await redis.info("server"))["tcp_port"] == master
    await redis.aclose()


async def test_a_server_and_a_cluster_are_found_by_an_ipv6_address(binary: Path, tmp_path: Path) -> None:
    cluster = {"cluster-enabled": "yes", "cluster-port": str(free_port()), "cluster-announce-ip": "::1"}
    with bound(binary, tmp_path, **cluster) as server:
        ask(server.port, "CLUSTER", "ADDSLOTSRANGE", "0", "16383")
        eventually(lambda: "cluster_state:ok" in str(ask(server.port, "CLUSTER", "INFO")))
        for url in (f"redis://[::1]:{server.port}", f"redis+cluster://[::1]:{server.port}/0"):
            redis = connect(url)
            assert f"[::1]:{server.port}" in where_is(redis)
            assert await redis.exists("{0}nothing") == 0
            await redis.aclose()
