"""What a URL says about the way to a server, and what counts as a server that is away."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from redis.exceptions import (
    AskError,
    AuthenticationError,
    BusyLoadingError,
    MasterDownError,
    ReadOnlyError,
    ResponseError,
    TryAgainError,
)
from redis.exceptions import ConnectionError as RedisConnectionError

from streamsched.connect.client import connect, where_is
from streamsched.connect.outage import Backoff, block_ms, is_away, is_read_only
from streamsched.connect.url import of_partition, place_of
from streamsched.contract.errors import ServerReadOnly

LOGIN = {"username": "u", "password": "p"}
NO_LOGIN: dict[str, Any] = {"socket_timeout": 2.0, "socket_connect_timeout": 2.0}


@pytest.mark.parametrize(
    ("url", "sentinels", "name", "role", "options", "asked"),
    [
        ("redis+sentinel://h1:1,h2:2/m", [("h1", 1), ("h2", 2)], "m", "master", {}, NO_LOGIN),
        ("redis+sentinel://h1,[::1]:7/m", [("h1", 26379), ("::1", 7)], "m", "master", {}, NO_LOGIN),
        ("redis+sentinel://h1/my%20name/3", [("h1", 26379)], "my name", "master", {"db": 3}, NO_LOGIN),
        ("redis+sentinel://h1/m?role=replica", [("h1", 26379)], "m", "replica", {}, NO_LOGIN),
        (
            "redis+sentinel://u:p%40ss@h1/m?sentinel_username=su&sentinel_password=sp",
            [("h1", 26379)],
            "m",
            "master",
            {"username": "u", "password": "p@ss"},
            {**NO_LOGIN, "username": "su", "password": "sp"},
        ),
        (
            "rediss+sentinel://:p@h1/m?ssl_cert_reqs=none&socket_timeout=1",
            [("h1", 26379)],
            "m",
            "master",
            {"password": "p", "ssl": True, "ssl_cert_reqs": "none", "socket_timeout": 1.0},
            {"socket_timeout": 1.0, "socket_connect_timeout": 2.0, "ssl": True, "ssl_cert_reqs": "none"},
        ),
    ],
)
def test_a_url_names_sentinels_the_server_behind_them_and_a_login_for_each(
    url: str, sentinels: list[Any], name: str, role: str, options: dict[str, Any], asked: dict[str, Any]
) -> None:
    assert place_of(url) == (options, sentinels, asked, name, role, None)


@pytest.mark.parametrize(
    ("url", "servers", "options", "asked", "partition"),
    [
        ("redis+cluster://h1:1,[::1],h2:2", [("h1", 1), ("::1", 6379), ("h2", 2)], {}, NO_LOGIN, 0),
        ("redis+cluster://u:p@h1/3", [("h1", 6379)], LOGIN, NO_LOGIN | LOGIN, 3),
        (
            "rediss+cluster://h1/0?ssl_ca_certs=/ca.pem&socket_timeout=1",
            [("h1", 6379)],
            {"ssl": True, "ssl_ca_certs": "/ca.pem", "socket_timeout": 1.0},
            {"ssl": True, "ssl_ca_certs": "/ca.pem", "socket_timeout": 1.0, "socket_connect_timeout": 2.0},
            0,
        ),
    ],
)
def test_a_url_names_some_servers_of_a_cluster_and_the_partition(
    url: str, servers: list[Any], options: dict[str, Any], asked: dict[str, Any], partition: int
) -> None:
    assert place_of(url) == (options, servers, asked, "", "master", partition)
    assert of_partition(url, 9) == (url if partition or url.count("/") > 2 else f"{url}/9")


def test_only_the_url_of_a_cluster_names_a_partition() -> None:
    for url in ("redis://h1/2", "redis+sentinel://h1/m", "unix:///run/s.sock"):
        assert of_partition(url, 9) == url
    assert of_partition("redis+cluster://u:p@h1,h2?socket_timeout=1", 2) == (
        "redis+cluster://u:p@h1,h2/2?socket_timeout=1"
    )


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://h1/m", "begins with none of redis://"),
        ("redis+cluster:///0", "no server of the cluster"),
        ("redis+cluster://h1,,h2", "a server without a host"),
        ("redis+cluster://h1/m", "'m' is no number of a partition"),
        ("redis+cluster://h1/0/1", "a cluster has one database"),
        ("redis+cluster://h1?db=1", "leave db and role out"),
        ("redis+cluster://h1?role=replica", "leave db and role out"),
        ("redis+sentinel:///m", "no sentinel"),
        ("redis+sentinel://h1", "no name behind them"),
        ("redis+sentinel://h1,,h2/m", "a sentinel without a host"),
        ("redis+sentinel://h1:port/m", "port"),
        ("redis+sentinel://h1/m/db", "'db' is no number of a database"),
        ("redis+sentinel://h1/m?role=leader", "role is neither master nor replica"),
        ("redis+sentinel://::1:26379/m", r"an IPv6 address stands in brackets: \[::1\]:6379"),
        ("redis+cluster://h1:1,fe80::1", "an IPv6 address stands in brackets"),
        ("redis://u:p@::1:6379", "an IPv6 address stands in brackets"),
        ("rediss://h1?ssl_cert_reqs=no", "Invalid value for 'ssl_cert_reqs': give none, optional, required"),
        ("rediss+sentinel://h1/m?ssl_cert_reqs=0", "Invalid value for 'ssl_cert_reqs'"),
        ("rediss+cluster://h1?ssl_cert_reqs=REQUIRED", "Invalid value for 'ssl_cert_reqs'"),
    ],
)
def test_a_url_that_cannot_be_used_is_refused_with_the_reason(url: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        place_of(url)


@pytest.mark.parametrize(
    ("url", "where"),
    [
        ("redis://h1:7/2", "h1:7"),
        ("redis://", "localhost:6379"),
        ("rediss://h1?ssl_ca_certs=/ca.pem", "h1:6379 over TLS"),
        ("unix:///run/s.sock", "/run/s.sock"),
        ("redis+sentinel://:geheim@h1,h2:2/m", "m (sentinels h1:26379, h2:2)"),
        ("redis+cluster://:geheim@h1,h2:2/0", "slot 13907 of the cluster of h1:6379, h2:2"),
        ("redis://[::1]:7", "[::1]:7"),
        ("redis+sentinel://[::1],[fe80::2]:3/m", "m (sentinels [::1]:26379, [fe80::2]:3)"),
        ("redis+cluster://[::1]:7/0", "slot 13907 of the cluster of [::1]:7"),
    ],
)
def test_a_message_says_where_the_server_was_looked_for(url: str, where: str) -> None:
    assert where_is(connect(url)) == where


@pytest.mark.parametrize(
    "begin", ["redis://u:geheim@h1", "redis+sentinel://:geheim@h1/m", "redis+cluster://u:geheim@h1"]
)
@pytest.mark.parametrize(
    ("options", "why"),
    [
        ("?sokcet_timeout=3", "it has no option sokcet_timeout"),
        ("?ssl_cert_reqs=none", "it has no option ssl_cert_reqs"),
        ("?socket_timeout=soon", "Invalid value for 'socket_timeout'"),
    ],
)
def test_an_unknown_option_beside_a_password_is_named_and_the_password_is_not(
    begin: str, options: str, why: str
) -> None:
    with pytest.raises(ValueError, match=f"^{why}$"):
        connect(begin + options)


@pytest.mark.parametrize(
    "url", ["redis://:geh#eim@h1", "redis://:geh?eim=1@h1", "redis://:geh/eim@h1", "redis://u:[geheim@h1"]
)
def test_a_password_that_breaks_its_url_is_in_no_message(url: str) -> None:
    with pytest.raises(ValueError, match=r"^quote special characters as %XX$"):
        connect(url)


def test_a_blocking_read_ends_before_its_silence_counts_as_a_lost_server() -> None:
    assert block_ms(connect("redis://h1"), 1000) == 1000
    assert block_ms(connect("redis://h1?socket_timeout=1"), 5000) == 500
    assert block_ms(connect("redis+sentinel://h1/m?socket_timeout=0.3"), 1000) == 150


@pytest.mark.parametrize(
    ("problem", "away"),
    [
        (RedisConnectionError("closed"), True),
        (BusyLoadingError("loading"), True),
        (MasterDownError("link with MASTER is down"), True),
        (ResponseError("UNBLOCKED force unblock from blocking operation, instance state changed"), True),
        (ResponseError("BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN."), True),
        (ResponseError("Script attempted to access a non local key in a cluster node"), True),
        (AskError("1 127.0.0.1:7001"), True),
        (TryAgainError("Multiple keys request during rehashing of slot"), True),
        (OSError("no route"), True),
        (AuthenticationError("wrong password"), False),
        (ResponseError("NOGROUP no such group"), False),
        (ReadOnlyError("You can't write against a read only replica."), False),
    ],
)
def test_only_what_may_pass_by_waiting_counts_as_away(problem: Exception, away: bool) -> None:
    assert is_away(problem) is away


def test_a_replica_is_known_by_its_answer_to_a_command_and_to_a_script() -> None:
    assert is_read_only(ReadOnlyError("You can't write"))
    assert is_read_only(ServerReadOnly("connect to the primary"))
    assert not is_read_only(RedisConnectionError("closed"))


@pytest.mark.anyio
@pytest.mark.parametrize(("attempt", "longest_s"), [(0, 0.05), (3, 0.4), (6, 2.0), (1_100, 2.0), (10**6, 2.0)])
async def test_a_server_may_be_away_for_any_number_of_tries(
    attempt: int, longest_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(anyio, "sleep", sleep)
    backoff = Backoff()
    for _ in range(50):
        backoff.failures = attempt
        await backoff.wait()
    assert 0.01 <= min(slept) <= max(slept) <= longest_s
    assert max(slept) > longest_s / 2
