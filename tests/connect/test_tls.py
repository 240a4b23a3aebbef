"""TLS, and certificates on both sides: the whole system over it, and the errors for an invalid certificate.

On Redis only: the Valkey of the wheel is built without TLS.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from streamsched.client.requests import DispatchRequest
from streamsched.client.scheduler import Scheduler
from streamsched.connect.client import connect
from streamsched.connect.tls import refusal
from streamsched.contract.errors import NoPoolForLangPair, ServerUnreachable
from streamsched.contract.keys import Keys
from streamsched.engine.partition import open_partition
from streamsched.ops.settings import SettingsError, load
from streamsched.server.embedded import EmbeddedServer

from ..support.processes import SUBMIT, Cli, eventually
from ..support.servers.kinds import redis_binary
from ..support.servers.tls import Certificates, over_tls

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def binary() -> Path:
    return redis_binary()


@pytest.fixture(scope="module")
def tls(binary: Path, certificates: Certificates) -> Iterator[tuple[EmbeddedServer, str]]:
    with over_tls(binary, certificates) as running:
        yield running


def complete(url: str, certificates: Certificates, **names: str) -> str:
    return load({"url": url, **{f"tls_{kind}": certificates[name] for kind, name in names.items()}}).url


@pytest.mark.parametrize("key", [{}, {"key": "client-key"}], ids=["one file", "two files"])
async def test_a_call_goes_over_tls_with_certificates_on_both_sides(
    tls: tuple[EmbeddedServer, str], certificates: Certificates, key: dict[str, str]
) -> None:
    url = complete(tls[1], certificates, ca="ca", cert="client-cert" if key else "client", **key)
    async with Scheduler.connect(url, "tls") as scheduler:
        request = DispatchRequest(session_id="s", src_lang="en", tgt_lang="zh", payload_json="1")
        with pytest.raises(NoPoolForLangPair):
            await scheduler.dispatch_task(request)


@pytest.mark.parametrize("checks", ["none", "optional", "required"])
async def test_a_url_may_say_how_far_the_servers_certificate_is_checked(
    tls: tuple[EmbeddedServer, str], certificates: Certificates, checks: str
) -> None:
    url = complete(tls[1], certificates, cert="client") + f"&ssl_cert_reqs={checks}"
    redis = connect(url)
    if checks == "none":
        assert await redis.exists("nothing") == 0
    else:
        with pytest.raises(RedisConnectionError, match="certificate verify failed"):
            await redis.exists("nothing")
    await redis.aclose()


@pytest.mark.parametrize(
    ("server", "names", "words"),
    [
        ("server", {"ca": "foreign-ca", "cert": "client"}, "the server's certificate is not valid: self-signed"),
        ("server", {"cert": "client"}, "the server's certificate is not valid: self-signed"),
        ("server", {"ca": "ca"}, "the server requires a client certificate: give tls_cert"),
        ("server", {"ca": "ca", "cert": "foreign"}, "the server does not know the issuer of our certificate"),
        ("server", {"ca": "ca", "cert": "old"}, "the server says that our certificate (tls_cert) has expired"),
        ("old-server", {"ca": "ca", "cert": "client"}, "not valid: certificate has expired"),
        ("elsewhere", {"ca": "ca", "cert": "client"}, "not valid: IP address mismatch"),
    ],
    ids=lambda value: "" if isinstance(value, str) else " ".join(value.values()),
)
async def test_an_invalid_certificate_is_refused_at_once_with_a_remedy(
    binary: Path, certificates: Certificates, server: str, names: dict[str, str], words: str
) -> None:
    with over_tls(binary, certificates, server) as (_, url):
        for address in (url, url.replace("rediss://", "rediss+sentinel://") + "/m") if server == "server" else (url,):
            with pytest.raises(ServerUnreachable) as refused:
                async with open_partition(complete(address, certificates, **names), Keys("tls"), patience_s=3600):
                    raise AssertionError("it connected")
            assert words in str(refused.value)


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ({"cert": "client-cert", "key": "old-key"}, "--tls-cert: .* the key .* is not that of our certificate"),
        ({"cert": "ca"}, "--tls-cert: .* is not PEM, or has the wrong content"),
        ({"cert": "client-cert", "key": "ca"}, "--tls-cert: .* is not PEM, or has the wrong content"),
        ({"ca": "client-key"}, "--tls-ca: .* holds no certificates in PEM"),
        ({"cert": "client-cert", "key": "sealed-key"}, "--tls-key: the key is encrypted"),
    ],
    ids=lambda value: "" if isinstance(value, str) else " ".join(value.values()),
)
def test_a_file_of_the_wrong_content_is_named_by_its_option(
    certificates: Certificates, names: dict[str, str], words: str
) -> None:
    with pytest.raises(SettingsError, match=words):
        complete("rediss://h1", certificates, **names)


async def test_a_plain_url_to_a_tls_port_fails_with_the_likely_cause(tls: tuple[EmbeddedServer, str]) -> None:
    with pytest.raises(ServerUnreachable, match=r"if it speaks TLS there, give rediss://"):
        async with open_partition(tls[1].replace("rediss://", "redis://"), Keys("tls"), patience_s=0.1):
            pass


async def test_a_server_that_is_away_is_no_matter_of_certificates(certificates: Certificates) -> None:
    redis: Any = connect(complete("rediss://127.0.0.1:1", certificates, ca="ca"))
    with pytest.raises(RedisConnectionError) as away:
        await redis.ping()
    assert refusal(away.value) is None
    await redis.aclose()


def test_every_process_uses_tls_and_outlives_a_restart_of_the_server(
    tls: tuple[EmbeddedServer, str], certificates: Certificates, tmp_path: Path
) -> None:
    cli = Cli(tls[0].url, Keys("processes"), tmp_path)
    cli.environment |= {
        "STREAMSCHED_URL": tls[1],
        "STREAMSCHED_TLS_CA": str(certificates["ca"]),
        "STREAMSCHED_TLS_CERT": str(certificates["client"]),
    }
    try:
        worker = cli.start("worker")
        node = cli.start("node", "n1", "--pools", "en-zh", "--exec", "tr a-z A-Z", "--heartbeat-ms", "100")
        submit = (*SUBMIT, "--timeout", "30", "--patience", "20", "hello")
        assert cli.run(*submit).out == "HELLO\n"
        tls[0].kill()
        tls[0].start()
        eventually(lambda: cli.redis.zcard(cli.keys("expiry")))  # nothing was kept: the node registers again
        assert cli.run(*submit).out == "HELLO\n"
        assert cli.run("archive", "--to", "kept", "--once").code == 0
        assert cli.run("verify", "--archive", "kept").code == 0
        assert cli.run("rebuild", "--forget", "--yes").code == 0  # it kept nothing
        assert cli.run("status", "--json").code == 0
        refused = cli.run("status", STREAMSCHED_TLS_CERT=str(certificates["old"]))
        assert (refused.code, refused.err.count("\n")) == (3, 1)
        assert "has expired" in refused.err
        assert (cli.stop(node), cli.stop(worker)) == (0, 0)
    finally:
        cli.end()
