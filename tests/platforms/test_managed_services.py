"""A managed service permits less than an own server: optional commands are done without, needed ones are named."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from streamsched.archive.archiver import Archiver
from streamsched.archive.writer import ArchiveWriter
from streamsched.connect.about import identify
from streamsched.connect.client import connect
from streamsched.contract.errors import LogFork
from streamsched.contract.keys import Keys
from streamsched.log.live import LiveLog
from streamsched.server.embedded import EmbeddedServer

from ..support.processes import SUBMIT, Cli, eventually
from ..support.scraping import exported

pytestmark = pytest.mark.anyio


@contextmanager
def managed(binary: Path, folder: Path, disabled: tuple[str, ...], forbidden: tuple[str, ...]) -> Iterator[Cli]:
    """Start a server without some commands, and forbid its users others."""
    (folder / "managed.conf").write_text("".join(f'rename-command {command} ""\n' for command in disabled))
    with EmbeddedServer(binary=binary, options={"include": str(folder / "managed.conf")}) as server:
        cli = Cli(server.url, Keys("managed"), folder)
        cli.redis.execute_command("ACL", "SETUSER", "default", *(f"-{command}" for command in forbidden))
        try:
            yield cli
        finally:
            cli.end()


@pytest.fixture
def bare(binary: Path, tmp_path: Path) -> Iterator[Cli]:
    """The command line on a server that withholds every optional command."""
    with managed(binary, tmp_path, ("HELLO", "CONFIG"), ("info", "client", "debug", "role")) as cli:
        yield cli


async def test_jobs_run_and_are_seen_on_a_server_without_hello_info_config_and_client(bare: Cli) -> None:
    worker, node = bare.start("worker"), bare.start("node", "n1", "--pools", "en-zh", "--exec", "tr a-z A-Z")
    done = bare.run(*SUBMIT, "--timeout", "30", "hello")
    assert (done.out, done.err) == ("HELLO\n", "")
    status = bare.run("status")
    assert (status.code, status.err) == (0, "")
    assert "workers unknown" in status.out
    for command in ("verify", "tail --no-follow", "archive --once --to kept"):
        shown = bare.run(*command.split())
        assert (shown.code, shown.err) == (0, ""), (command, shown)
    server: Any = bare  # the exporter needs no more of a server than where it is
    async with exported(server, bare.keys) as scraped:
        now = await scraped.scrape()
    assert (now.get("jobs_ended_total", status="finished"), now.get("workers")) == (1, None)
    assert now.get("eviction") is None
    assert bare.stop(node) == bare.stop(worker) == 0


async def test_without_info_an_archiver_compares_its_end_after_each_connect(bare: Cli, tmp_path: Path) -> None:
    for number in range(2):
        assert bare.run("append", "session.released", f"session_id=s{number}").code == 0
    redis = connect(bare.url, decode=False)
    live = LiveLog(redis, bare.keys)
    with ArchiveWriter(tmp_path / "kept", bare.keys) as writer:
        archiver = Archiver(live, writer)
        await archiver.once()
        assert archiver.archived == 2
        events = bare.keys("events")
        last = bare.redis.xrevrange(events, count=1)[0][0]
        bare.redis.xdel(events, last)  # another server, which lacks the last event
        bare.redis.xadd(events, {"type": "session.released", "session_id": "other"}, id=f"{last.split('-')[0]}-999")
        await archiver.check_fork()  # over the connection that was compared
        await redis.connection_pool.disconnect()
        with pytest.raises(LogFork, match=f"the archive holds {last}"):
            await archiver.check_fork()
    await redis.aclose()


@pytest.mark.parametrize(("disabled", "version"), [((), True), (("HELLO",), True), (("HELLO", "INFO"), False)])
async def test_version_and_role_come_from_hello_or_else_from_info(
    binary: Path, tmp_path: Path, disabled: tuple[str, ...], version: bool
) -> None:
    without = {"INFO"} & set(disabled)
    with managed(binary, tmp_path, tuple(set(disabled) - without), tuple(without)) as cli:
        redis = connect(cli.url)
        server = await identify(redis)
        assert (server.version is not None, server.role) == (version, "master" if version else None)
        assert not server.is_before(7, 0)
        assert server.is_before(99, 0) is version
        await redis.aclose()


def test_a_server_without_a_needed_command_is_named_with_the_command(binary: Path, tmp_path: Path) -> None:
    with managed(binary, tmp_path, ("XINFO",), ()) as cli:
        refused = cli.run("append", "session.released", "session_id=s")
        assert refused.code == 1
        assert "the server has no command XINFO, which the scheduler needs" in refused.err
        worker = cli.start("worker")
        eventually(lambda: "the server has no command XINFO" in cli.output(worker))
        assert cli.stop(worker) == 0
