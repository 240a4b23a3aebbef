"""A node that cannot work says why, where an operator looks.

Found where a foreign key lay in the place of an inbox: the node was shown as online and not accepting, and only its own
log had the reason.

Reports of the kind: buildfarm/buildfarm #1627, RichardKnop/machinery #666 (a health check says ok while the worker
takes nothing).
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from streamsched import Node, Scheduler, SubmitRequest
from streamsched.contract.events import SchedulerConfigured
from streamsched.contract.keys import Keys
from streamsched.node.reconciler import Reconciler
from streamsched.server.embedded import EmbeddedServer
from streamsched.state.nodes import read_node

from ..support.live import running, until
from ..support.processes import SUBMIT, Cli

pytestmark = pytest.mark.anyio


@pytest.fixture
def cli(server: EmbeddedServer, keys: Keys, tmp_path: Path) -> Iterator[Cli]:
    cli = Cli(server.url, keys, tmp_path)
    yield cli
    cli.end()


def status(cli: Cli, holds: Callable[[dict[str, Any]], bool], within_s: float = 20) -> dict[str, Any]:
    """The first ``streamsched status`` for which something holds."""
    deadline = time.monotonic() + within_s
    while True:
        shown: dict[str, Any] = json.loads(cli.run("status", "--json").out)
        if holds(shown):
            return shown
        assert time.monotonic() < deadline, shown


def test_the_status_says_why_a_node_cannot_read_its_inbox_until_it_can(cli: Cli, keys: Keys) -> None:
    cli.start("worker")
    cli.start("node", "n1", "--pools", "en-zh", "--exec", "tr a-z A-Z", "--heartbeat-ms", "100")
    status(cli, lambda shown: any(node["open"] for node in shown["nodes"]))
    assert "trouble" not in cli.run("status").out
    inbox = keys.inbox("n1")
    with cli.redis as raw:
        with raw.pipeline(transaction=True) as pipe:
            pipe.delete(inbox).set(inbox, "foreign").execute()
        shown = status(cli, lambda shown: bool(shown["troubles"]))
        (trouble,) = shown["troubles"]
        assert trouble["node_id"] == "n1"
        assert trouble["trouble"].startswith("the inbox cannot be read: WRONGTYPE")
        assert not shown["nodes"][0]["open"]
        assert "node n1 is in trouble: the inbox cannot be read: WRONGTYPE" in " ".join(cli.run("status").out.split())
        raw.delete(inbox)
    well = status(cli, lambda shown: not shown["troubles"] and shown["nodes"][0]["open"])
    assert well["nodes"][0]["trouble"] == ""
    assert '"HELLO"' in cli.run(*SUBMIT, "--wait", '"hello"').out


async def test_a_node_whose_background_task_keeps_failing_says_so_until_it_works(
    server: EmbeddedServer, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: Any) -> None:
        raise RuntimeError("planted")

    async def trouble() -> str:
        node = await read_node(scheduler.partition.redis, keys, "n1")
        return node.trouble if node else ""

    async def is_said() -> bool:
        return "reading the inbox fails" in await trouble() and "planted" in await trouble()

    async def is_over() -> bool:
        return await trouble() == ""

    async with (
        running(server, keys) as scheduler,
        Scheduler.connect(server.url, keys.namespace) as own,
        Node(own, "n1", pools=["en-zh"], heartbeat_ms=50),
    ):
        with monkeypatch.context() as planted:
            planted.setattr(Reconciler, "read", fail)
            await until(is_said)
        await until(is_over)


def block() -> None:
    time.sleep(1)


async def trouble_of(scheduler: Scheduler, keys: Keys) -> str:
    node = await read_node(scheduler.partition.redis, keys, "n1")
    return node.trouble if node else ""


async def test_a_handler_that_blocks_the_event_loop_is_named_by_the_next_heartbeat(
    server: EmbeddedServer, keys: Keys
) -> None:
    async def blocks(task: Any) -> str:
        block()
        return "done"

    async def is_said() -> bool:
        return "the event loop was blocked for" in await trouble_of(scheduler, keys)

    async def is_over() -> bool:
        return await trouble_of(scheduler, keys) == ""

    async with (
        running(server, keys) as scheduler,
        Scheduler.connect(server.url, keys.namespace) as own,
        anyio.create_task_group() as group,
    ):
        await scheduler.append(SchedulerConfigured(heartbeat_timeout_ms=2000))
        async with Node(own, "n1", pools=["en-zh"], heartbeat_ms=100) as node:
            group.start_soon(node.run, blocks)
            await scheduler.submit(SubmitRequest(session_id="s", src_lang="en", tgt_lang="zh", payload_json="1"))
            await until(is_said)
            await until(is_over)
            node.stop()


async def test_a_node_that_beats_less_often_than_the_timeout_says_so(server: EmbeddedServer, keys: Keys) -> None:
    async with running(server, keys) as scheduler, Scheduler.connect(server.url, keys.namespace) as own:
        await scheduler.append(SchedulerConfigured(heartbeat_timeout_ms=2000))
        async with Node(own, "n1", pools=["en-zh"], heartbeat_ms=3000):
            said = await trouble_of(scheduler, keys)
            assert said.startswith("it sends a heartbeat every 3 s, and the scheduler waits 2 s (heartbeat_timeout_ms)")
