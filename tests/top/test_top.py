"""``streamsched top``, driven as a person drives it, on real servers."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
from textual.pilot import Pilot
from textual.widgets import Input, Static

from streamsched.connect.client import connect
from streamsched.contract.events import NodeHeartbeat
from streamsched.contract.keys import Keys
from streamsched.dashboard.reader import Reader
from streamsched.dashboard.watcher import Watcher
from streamsched.server.embedded import EmbeddedServer
from streamsched.top.app import PARTS, Top
from streamsched.top.grid import Grid
from streamsched.top.keys import KeysScreen
from streamsched.top.story import StoryScreen
from streamsched.top.tables import LONGEST

from ..support.chromium import SCREENSHOTS
from ..support.ledger import Ledger
from ..support.processes import Cli
from ..support.servers.aof import SYNCED

pytestmark = pytest.mark.anyio


class Screen:
    """The view and the actions of a user."""

    def __init__(self, app: Top, pilot: Pilot[None]) -> None:
        self.app, self.pilot = app, pilot

    def head(self) -> str:
        return self.says("head")

    def rows(self) -> list[list[str]]:
        """The table in front."""
        return cells(self.app.table(self.app.part))

    def shows(self, part: str) -> bool:
        return self.app.part == part

    def story(self) -> str:
        if not isinstance(self.app.screen, StoryScreen):
            return ""
        standing = str(self.app.screen.query_one("#standing", Static).render())
        return "\n".join((standing, *map(" ".join, cells(self.app.screen.query_one(Grid)))))

    def says(self, id: str) -> str:
        return str(self.app.screen_stack[0].query_one(f"#{id}", Static).render())

    def is_said(self, id: str, words: str) -> bool:
        return self.says(id) == words

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)

    async def until(self, holds: Callable[[], Any]) -> None:
        with anyio.fail_after(30):
            while not holds():
                await self.pilot.pause(0.02)


def cells(grid: Grid) -> list[list[str]]:
    """What a table shows."""
    return [[str(cell) for cell in grid.get_row_at(n)] for n in range(grid.row_count)]


@asynccontextmanager
async def top(server: EmbeddedServer, keys: Keys, size: tuple[int, int] = (80, 24)) -> AsyncIterator[Screen]:
    watcher = Watcher(Reader(server.url, keys, None), with_past=False)
    async with anyio.create_task_group() as group:
        group.start_soon(watcher.run)
        app = Top(watcher)
        async with app.run_test(size=size) as pilot:
            yield Screen(app, pilot)
        watcher.close()
    await watcher.source.close()


async def test_it_names_the_nodes_in_trouble_with_the_reason_until_they_are_well(
    server: EmbeddedServer, ledger: Ledger
) -> None:
    for n in range(7):
        await ledger.node(f"n{n}")
        await ledger.append(NodeHeartbeat(node_id=f"n{n}", online=True, trouble="no inbox\x1b[2J"))
    async with top(server, ledger.keys, size=(80, 40)) as screen:
        await screen.until(lambda: "node n0 is in trouble: no inbox" in screen.head())
        assert "… and 2 more nodes in trouble" in screen.head()
        assert "\x1b" not in screen.head()
        await screen.press("enter")
        await screen.until(lambda: "trouble=no inbox" in screen.story())
        await screen.press("escape")
        for n in range(7):
            await ledger.append(NodeHeartbeat(node_id=f"n{n}", online=True))
        await screen.until(lambda: "in trouble" not in screen.head())


async def test_it_shows_what_the_log_says_and_what_comes(server: EmbeddedServer, ledger: Ledger) -> None:
    await ledger.node("n1")
    await ledger.node("n2")
    await ledger.submit("j1")
    await ledger.append(["type", "node.offline", "node_id", "n2", "reason", "power\x1b[2J"])
    async with top(server, ledger.keys) as screen:
        await screen.until(lambda: len(screen.rows()) == 2)
        assert screen.rows()[0][:3] == ["n2", "offline", "0"]  # worst first
        assert screen.rows()[1] == ["n1", "open", "1", "en-zh"]
        assert "held 1" in screen.head()
        await ledger.tell("completed", "j1", status="finished")
        await screen.until(lambda: "finished 1" in screen.head())
        assert screen.rows()[1][2] == "0"
        await screen.press("4")
        await screen.until(lambda: screen.rows() and screen.rows()[0][1] == "job.completed")
        assert any(r"power\x1b[2J" in row[3] for row in screen.rows())
        await ledger.append(["type", "job.completed", "job_id", "nobody", "node_id", "n1", "status", "finished"])
        await screen.until(lambda: "✗ UNKNOWN_JOB" in screen.rows()[0][3])
        await screen.press("5")
        await screen.until(lambda: screen.rows() and screen.rows()[0][2] == "nobody")
        await screen.press("3")
        await screen.until(lambda: screen.rows() == [["en-zh", "en zh", "2", "1", "0", "0", "0", "1"]])


async def test_enter_says_why_a_job_waits(servers: dict[str, EmbeddedServer], log: Ledger) -> None:
    await log.node("n1")
    await log.append(["type", "node.cordoned", "node_id", "n1", "reason", "hot"])
    await log.submit("j1")
    async with top(servers["valkey"], log.keys) as screen:
        await screen.press("2")
        await screen.until(lambda: screen.rows() and screen.rows()[0][1] == "1")
        assert screen.rows()[0][2] == "no node may receive it now"
        await screen.press("enter")
        await screen.until(screen.story)
        assert "j1 is waiting" in screen.story()
        assert "n1: cordoned" in screen.story()
        assert "job.submitted" in screen.story()
        await screen.press("escape", "1")
        await screen.until(lambda: not screen.story())
        await screen.press("enter")
        await screen.until(lambda: "node.cordoned" in screen.story())
        assert "may receive no job: cordoned: hot" in screen.story()


async def test_a_story_leads_on_to_the_stories_of_what_it_names(
    servers: dict[str, EmbeddedServer], log: Ledger
) -> None:
    await log.node("n1")
    await log.submit("j1", "s7")
    async with top(servers["valkey"], log.keys) as screen:
        await screen.until(lambda: len(screen.rows()) == 1)
        await screen.press("enter")
        await screen.until(lambda: screen.story().startswith("node n1"))
        assert screen.story().splitlines()[-1].split() == ["now", "holds", "j1", "job", "j1"]
        await screen.press("enter")
        await screen.until(lambda: screen.story().startswith("job j1"))
        await screen.press("home", "enter")
        await screen.until(lambda: screen.story().startswith("session s7"))
        assert "job j1 to node n1" in screen.story()
        await screen.press("escape", "escape", "escape")
        await screen.until(lambda: not screen.story())


async def test_all_flows_are_drawn_where_there_is_room(servers: dict[str, EmbeddedServer], log: Ledger) -> None:
    await log.node("n1")
    await log.submit("j1")
    await log.submit("j2", src="fr")
    for size, drawn in (((80, 24), False), ((120, 40), True)):
        async with top(servers["valkey"], log.keys, size) as screen:
            await screen.until(partial(screen.is_said, "waiting-now", "waiting 1"))
            assert screen.says("p50-now").endswith(" ms")
            assert (screen.app.query_one("#failed-now").region.width > 0) == drawn


async def test_a_filter_finds_a_node_and_an_event_and_a_pool_opens_its_nodes(
    servers: dict[str, EmbeddedServer], log: Ledger
) -> None:
    await log.node("n1", "en-zh")
    await log.node("n2", "de-en", "en-zh-fr")
    await log.submit("j1")
    async with top(servers["valkey"], log.keys) as screen:
        await screen.until(lambda: len(screen.rows()) == 2)
        await screen.press("slash", "n", "2", "enter")
        await screen.until(lambda: [row[0] for row in screen.rows()] == ["n2"])
        await screen.press("escape", "3")
        await screen.until(lambda: len(screen.rows()) == 3)
        await screen.press("down", "enter")
        await screen.until(lambda: screen.app.part == "nodes" and [row[0] for row in screen.rows()] == ["n1"])
        await screen.press("escape", "4", "slash", *"type=job.sub*", "enter")
        await screen.until(lambda: [row[1] for row in screen.rows()] == ["job.submitted"])
        assert screen.app.query_one("#filter", Input).display


async def test_a_search_that_ends_while_the_screen_closes_has_no_effect(server: EmbeddedServer, ledger: Ledger) -> None:
    await ledger.node("n1")
    async with top(server, ledger.keys) as screen:
        await screen.until(lambda: len(screen.rows()) == 1)
        await screen.app.screen.remove_children()
        screen.app.show()


async def test_the_keys_are_shown_and_hidden_again(servers: dict[str, EmbeddedServer], keys: Keys) -> None:
    async with top(servers["valkey"], keys) as screen:
        await screen.press("question_mark")
        await screen.until(lambda: isinstance(screen.app.screen, KeysScreen))
        await screen.press("question_mark")
        await screen.until(lambda: not isinstance(screen.app.screen, KeysScreen))
        for n, part in enumerate(PARTS, 1):
            await screen.press(str(n))
            await screen.until(partial(screen.shows, part))
        await screen.press("q")
        await screen.until(lambda: not screen.app.is_running)


async def test_a_server_that_goes_and_comes_back_is_shown_as_that() -> None:
    keys = Keys()
    with EmbeddedServer(append_only=True, options=SYNCED) as server:
        async with top(server, keys) as screen:
            ledger = Ledger(connect(server.url), keys)
            await ledger.node("n1")
            await screen.until(lambda: len(screen.rows()) == 1)
            await anyio.to_thread.run_sync(server.kill)
            await screen.until(lambda: "no answer from the server" in screen.head())
            assert len(screen.rows()) == 1  # what was seen last stays
            await screen.press("enter")
            await screen.until(lambda: any(toast.severity == "error" for toast in screen.app._notifications))
            assert not screen.story()
            await anyio.to_thread.run_sync(server.start)
            await screen.until(lambda: "no answer from the server" not in screen.head())
            await ledger.node("n2")
            await screen.until(lambda: len(screen.rows()) == 2)
            await ledger.redis.aclose()


async def test_ten_thousand_nodes_are_a_readable_list(servers: dict[str, EmbeddedServer], log: Ledger) -> None:
    for start in range(0, 10_000, 1000):
        numbers = range(start, start + 1000)
        await log.append(*(registered(n) for n in numbers), batch=10_000)
        await log.append(*(beat(n, "false") for n in numbers if n != 9_999), batch=10_000)
    async with top(servers["valkey"], log.keys, (120, 40)) as screen:
        await screen.until(lambda: "offline 9,999" in screen.head())
        assert len(screen.rows()) == LONGEST
        assert f"{10_000 - LONGEST:,} more" in screen.says("more")
        await screen.press("end")
        under = screen.app.table("nodes").under_cursor
        await log.append(beat(1, "true"))
        await screen.until(lambda: "offline 9,998" in screen.head())
        assert screen.app.table("nodes").cursor_row == LONGEST - 2  # it goes up with the line that it is on
        assert screen.app.table("nodes").under_cursor == under
        await screen.press("slash", *"n9999", "enter")
        await screen.until(lambda: [row[0] for row in screen.rows()] == ["n9999"])
        SCREENSHOTS.mkdir(exist_ok=True, parents=True)
        screen.app.save_screenshot(str(SCREENSHOTS / "top.svg"))


def registered(n: int) -> list[str]:
    pools = json.dumps([{"id": f"p{n % 40}", "name": "en-zh"}])
    return ["type", "node.registered", "node_id", f"n{n}", "cap_json", "{}", "pool_names_json", pools]


def beat(n: int, online: str) -> list[str]:
    return ["type", "node.heartbeat", "node_id", f"n{n}", "online", online]


def on_a_terminal(cli: Cli, act: Callable[[int, int], Any]) -> tuple[int, bytes]:
    """Run the command on a terminal, and act once it has drawn, with its keyboard and its process; returns its exit
    code, and what it wrote."""
    ours, theirs = pty.openpty()
    os.set_blocking(ours, False)
    environment = cli.environment | {"TERM": "xterm-256color", "COLUMNS": "80", "LINES": "24"}
    with subprocess.Popen(
        [sys.executable, "-m", "streamsched", "top"], stdin=theirs, stdout=theirs, stderr=theirs, env=environment
    ) as process:
        os.close(theirs)
        seen, deadline, acted = b"", time.monotonic() + 30, False
        while time.monotonic() < deadline:
            if select.select([ours], [], [], 0.1)[0]:
                try:
                    seen += os.read(ours, 65536)
                except OSError:  # it has closed its side
                    break
            if b"dead letters" in seen and not acted:
                act(ours, process.pid)
                acted = True
        if time.monotonic() >= deadline:
            process.kill()
        code = process.wait(20)
    os.close(ours)
    return code, seen


def test_the_command_draws_on_a_terminal_and_ends_on_q(cli: Cli) -> None:
    code, seen = on_a_terminal(cli, lambda keyboard, _: os.write(keyboard, b"q"))
    assert code == 0, seen[-2000:]
    assert cli.keys.namespace.encode() in seen


@pytest.mark.parametrize(
    ("act", "code"),
    [
        (lambda keyboard, _: os.write(keyboard, b"\x03"), 130),
        (lambda _, process: os.kill(process, signal.SIGTERM), 0),
    ],
    ids=["ctrl-c", "sigterm"],
)
def test_it_gives_the_terminal_back_however_it_is_ended(cli: Cli, act: Callable[[int, int], Any], code: int) -> None:
    ended, seen = on_a_terminal(cli, act)
    assert (ended, b"\x1b[?1049l" in seen) == (code, True)


def test_a_server_that_refuses_to_answer_ends_it_with_the_reason_on_a_terminal_as_it_was(
    keys: Keys, tmp_path: Path
) -> None:
    with EmbeddedServer() as server:
        cli = Cli(server.url, keys, tmp_path)
        code, seen = on_a_terminal(cli, lambda *_: cli.redis.execute_command("ACL", "SETUSER", "default", "-hgetall"))
    assert code == 1, seen[-2000:]
    after = seen.rpartition(b"\x1b[?1049l")[2]  # the screen that was there before
    assert b"SERVER: " in after
    assert b"hgetall" in after
    assert b"Traceback" not in seen


def test_without_a_terminal_it_says_what_to_run_instead(cli: Cli) -> None:
    outcome = cli.run("top")
    assert (outcome.code, "streamsched status" in outcome.err) == (2, True)


def without(cli: Cli, *modules: str, then: str) -> subprocess.CompletedProcess[str]:
    """Run a piece of a program where some modules are not installed."""
    absent = f"import sys; sys.modules |= dict.fromkeys({modules!r})\n"  # as importing finds it, there is none
    return subprocess.run(
        [sys.executable, "-c", absent + then], env=cli.environment, capture_output=True, text=True, timeout=60
    )


def test_without_textual_it_says_which_extra_brings_it_and_with_it_no_other_extra_is_needed(cli: Cli) -> None:
    outcome = without(cli, "textual", then="from streamsched.cli.app import app; app(['top'])")
    assert (outcome.returncode, "pip install 'streamsched[top]'" in outcome.stderr) == (2, True)
    others = ("starlette", "uvicorn", "pyarrow", "duckdb", "prometheus_client")
    assert without(cli, *others, then="import streamsched.cli.observe.top, streamsched.top.app").stderr == ""


def test_no_other_command_loads_textual(cli: Cli) -> None:
    loaded = "import sys, streamsched.cli.app; print([name for name in sys.modules if name.startswith('textual')])"
    assert without(cli, then=loaded).stdout == "[]\n"
