"""Servers and partitions for the tests: every fold runs on Valkey from its wheel and, where installed, on Redis."""

from __future__ import annotations

import itertools
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from streamsched.connect.client import connect
from streamsched.contract.keys import Keys
from streamsched.log.live import LiveLog
from streamsched.server.embedded import EmbeddedServer

pytest.register_assert_rewrite("tests.support.ledger", "tests.support.load")

from .support.ledger import Ledger  # noqa: E402
from .support.processes import Cli  # noqa: E402
from .support.servers.kinds import REDIS, SERVERS, binary_of  # noqa: E402

# a gate started in the background of a shell is deaf to Ctrl-C, and so would be all that it starts
signal.signal(signal.SIGINT, signal.default_int_handler)

SLOW = (
    "benchmarks/",
    "campaign/",
    "connect/test_cluster.py",
    "demo/",
    "house/test_packaging.py",
    "ops/test_acl.py",
    "platforms/test_installs.py",
    "simulator/",
    "stories/",
    "system/",
)
"""Tests of whole systems and long runs: they take as long as all the others."""

namespaces = (f"t{n}" for n in itertools.count())


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if str(item.path.relative_to(here)).startswith(SLOW):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def servers() -> Iterator[dict[str, EmbeddedServer]]:
    running = {kind: EmbeddedServer(binary=binary_of(kind)) for kind in SERVERS if kind == "valkey" or REDIS}
    for server in running.values():
        server.start()
    yield running
    for server in running.values():
        server.stop()


@pytest.fixture(scope="module", params=SERVERS)
def binary(request: pytest.FixtureRequest) -> Path:
    """The binary of each server in turn, for a test that starts servers of its own."""
    return binary_of(request.param)


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest, servers: dict[str, EmbeddedServer]) -> EmbeddedServer:
    """Each server in turn; Redis is skipped on a machine without it, and the gate installs it."""
    binary_of(request.param)
    return servers[request.param]


@pytest.fixture
async def redis(server: EmbeddedServer) -> AsyncIterator[Redis]:
    client = Redis.from_url(server.url, decode_responses=True, protocol=2, encoding_errors="surrogateescape")
    yield client
    await client.flushdb()  # the ledger scans the keyspace: it must not grow from test to test
    await client.aclose()


@pytest.fixture
def keys() -> Keys:
    """A namespace of its own for every test."""
    return Keys(next(namespaces))


@pytest.fixture
async def ledger(redis: Redis, keys: Keys) -> AsyncIterator[Ledger]:
    """The scripts on a partition of its own, which must equal the fold of its log when the test is over."""
    ledger = Ledger(redis, keys)
    yield ledger
    await ledger.check()


@pytest.fixture
def cli(servers: dict[str, EmbeddedServer], keys: Keys, tmp_path: Path) -> Iterator[Cli]:
    """The command line, on Valkey, in a folder and a namespace of its own."""
    cli = Cli(servers["valkey"].url, keys, tmp_path)
    yield cli
    cli.end()


@pytest.fixture
async def log(cli: Cli) -> AsyncIterator[Ledger]:
    """The scripts on the partition that ``cli`` talks to; no refold of it ends the test."""
    redis = Redis.from_url(cli.url, decode_responses=True, protocol=2)
    yield Ledger(redis, cli.keys)
    await redis.aclose()


@pytest.fixture
async def live(server: EmbeddedServer, keys: Keys) -> AsyncIterator[LiveLog]:
    """The log of the partition as an archiver reads it, bytes left alone."""
    raw = connect(server.url, decode=False)
    yield LiveLog(raw, keys)
    await raw.aclose()
