"""A network that accepts connections and carries nothing, and one that forgets connections on which nothing is said."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest
from redis.exceptions import TimeoutError as RedisTimeoutError

from streamsched.connect.client import FIRST_ANSWER_S, KEEPALIVE, SOCKET_TIMEOUT_S, connect
from streamsched.contract.errors import ServerUnreachable
from streamsched.contract.keys import Keys
from streamsched.engine.partition import open_partition
from streamsched.server.embedded import EmbeddedServer

from ..campaign.proxy import Proxy

pytestmark = pytest.mark.anyio


async def test_a_proxy_that_accepts_for_a_server_that_is_gone_is_given_up_long_before_a_slow_answer(
    server: EmbeddedServer, keys: Keys
) -> None:
    assert FIRST_ANSWER_S == 2.0 < SOCKET_TIMEOUT_S
    with Proxy(server.port) as proxy:
        proxy.hang()
        with pytest.raises(ServerUnreachable, match="accepted the connection, and did not answer in 2 s"):
            async with open_partition(proxy.url, keys, patience_s=0):
                pass
        with pytest.raises(RedisTimeoutError, match=r"did not answer in 0\.2 s"):
            await connect(f"{proxy.url}?socket_connect_timeout=0.2").time()


async def test_a_connection_asks_for_a_sign_of_life_before_a_network_forgets_it(server: EmbeddedServer) -> None:
    redis = connect(server.url)
    pool: Any = redis.connection_pool
    connection = await pool.get_connection()
    line = connection._writer.get_extra_info("socket")
    assert line.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
    found = {option: line.getsockopt(socket.IPPROTO_TCP, option) for option in KEEPALIVE}
    assert found == KEEPALIVE
    assert max(KEEPALIVE.values()) == 30, "below the minute after which the hastiest of them forget"
    await pool.release(connection)
    await redis.aclose()


async def test_the_url_has_the_last_word_and_a_unix_socket_needs_no_sign_of_life(tmp_path: Path) -> None:
    pool = connect("redis://h1?socket_keepalive=no&socket_connect_timeout=7").connection_pool
    assert (pool.connection_kwargs["socket_keepalive"], pool.connection_kwargs["socket_connect_timeout"]) == (False, 7)
    door = tmp_path / "door"
    with EmbeddedServer(options={"unixsocket": str(door)}):
        redis = connect(f"unix://{door}")
        assert await redis.exists("nothing") == 0
        await redis.aclose()
