"""Odd inputs that each broke one command, one call or one page."""

from __future__ import annotations

import http.client
import json
import re
import socket
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from starlette.requests import Request

from streamsched import (
    CompleteTaskRequest,
    DispatchRequest,
    InvalidField,
    JobStatus,
    Keys,
    RegisterNodeRequest,
    Scheduler,
    SubmitRequest,
    Worker,
    health_probe,
)
from streamsched.contract.errors import OutsideLog
from streamsched.contract.events import SchedulerConfigured
from streamsched.contract.moments import bound, utc
from streamsched.dashboard import routes
from streamsched.dashboard.guard import Operators
from streamsched.dashboard.reader import Reader
from streamsched.dashboard.routes import create_app
from streamsched.dashboard.watcher import Watcher
from streamsched.replay.rebuild import rebuild
from streamsched.server.embedded import EmbeddedServer

from ..support.ledger import Ledger
from ..support.live import running
from ..support.processes import Cli

pytestmark = pytest.mark.anyio

REGISTRATION = RegisterNodeRequest(node_id="n1", cap_json="{}", pool_names_json='[{"name":"en-zh"}]')
LATEST_TS = 10**15 - 1


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "::1"])
def test_a_health_probe_answers_get_and_head_on_any_address(host: str) -> None:
    worker = Worker("redis://127.0.0.1:1", Keys())
    with health_probe(worker, host, 0) as port:
        answers = {}
        for method in ("GET", "HEAD"):
            connection = http.client.HTTPConnection(host.strip("[]"), port, timeout=5)
            connection.request(method, "/")
            answer = connection.getresponse()
            answers[method] = answer.status, answer.getheader("Content-Type"), answer.read()
            connection.close()
    assert answers["GET"][:2] == answers["HEAD"][:2] == (503, "application/json")
    assert json.loads(answers["GET"][2])["status"] == "starting"
    assert answers["HEAD"][2] == b""


def test_probes_that_say_nothing_keep_no_other_prober_out_for_long() -> None:
    worker = Worker("redis://127.0.0.1:1", Keys())
    with health_probe(worker, "127.0.0.1", 0) as port:
        silent = [socket.create_connection(("127.0.0.1", port)) for _ in range(100)]
        closed = 0
        for one in silent[32:]:
            one.settimeout(5)
            closed += one.recv(1) == b""
        assert closed >= len(silent) - 40, "beyond a bound connections are closed at once"
        for one in silent:
            one.close()


@pytest.mark.parametrize("moment", ["9" * 4300, "1-" + "9" * 4300, "9999-12-31T23:59:59-14:00", "x", "", "²"])
def test_a_moment_that_is_none_is_refused_with_an_example(moment: str) -> None:
    with pytest.raises(OutsideLog, match="give 1700000000000-0"):
        bound(moment)


def test_ages_and_now_are_moments() -> None:
    now, earlier = bound("now")[0], bound("5m")[0]
    assert 299_000 < now - earlier < 301_000


@pytest.mark.parametrize("ms", [0, 253_402_300_799_999, 253_402_300_800_000, LATEST_TS, 10**18])
def test_every_permitted_time_is_printed(ms: int) -> None:
    assert utc(ms)


async def test_a_job_with_the_latest_permitted_times_is_shown_by_every_command(cli: Cli) -> None:
    fields = [f"deadline_ts={LATEST_TS}", f"not_before_ts={LATEST_TS - 1}", "job_id=j1", "session_id=s1"]
    fields += ["src_lang=en", "tgt_lang=zh", "payload_json={}"]
    assert cli.run("append", "job.submitted", *fields).code == 0
    for command in ("status", "explain job j1", "trace job j1", "tail --no-follow", "at now", "at 0s"):
        shown = cli.run(*command.split())
        assert shown.code == 0, (command, shown.err)


def test_csv_holds_no_formula_of_anyone(cli: Cli) -> None:
    for n, reason in enumerate(("=1+1", "+1", "-1", "@x", "plain")):
        cli.run("append", "job.cancelled", f"job_id=j{n}", f"reason={reason}")
    shown = cli.run("query", "SELECT rest['reason'] AS r, -5 AS n FROM dead_letters ORDER BY 1", "--csv")
    if shown.code:  # the column's name differs: ask for the cell itself
        shown = cli.run("query", "SELECT '=1+1' AS r, -5 AS n", "--csv")
    assert "'=1+1" in shown.out
    assert ",-5" in shown.out


def test_an_error_of_duckdb_in_a_late_row_is_a_text(cli: Cli) -> None:
    late = "SELECT CASE WHEN i = 50000 THEN CAST('x' AS INT) ELSE i END FROM range(100000) t(i)"
    shown = cli.run("query", late, "--json")
    assert shown.code == 2
    assert "Traceback" not in shown.err
    assert "the views are" in shown.err


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ({"job_id": ""}, "job_id is empty"),
        ({"payload_json": b"raw"}, "payload_json is bytes: give text"),
        ({"payload_json": {"a": 1}}, "payload_json is dict: give text"),
        ({"payload_json": None}, "payload_json is NoneType: give text"),
    ],
)
async def test_a_request_of_a_wrong_type_names_field_and_remedy(
    server: EmbeddedServer, keys: Keys, more: dict[str, Any], problem: str
) -> None:
    given: dict[str, Any] = {"session_id": "s1", "src_lang": "en", "tgt_lang": "zh", "payload_json": "{}"}
    async with Scheduler.connect(server.url, keys.namespace) as scheduler:
        with pytest.raises(InvalidField, match=problem):
            await scheduler.submit(SubmitRequest(**{**given, **more}))
        with pytest.raises(InvalidField, match=problem):
            await scheduler.dispatch_task(DispatchRequest(**{**given, **more}))
        with pytest.raises(InvalidField, match=problem):
            await scheduler.submit_many([SubmitRequest(**{**given, **more})])


async def test_what_a_failed_program_printed_is_shown_to_operators_only(server: EmbeddedServer, keys: Keys) -> None:
    secret = "the payload in a traceback"
    source = Reader(server.url, keys, None)
    async with running(server, keys) as scheduler:
        await scheduler.partition.append_soon(
            ["type", "scheduler.configured", "max_attempts", "2", "retry_backoff_ms", "0"]
        )
        await scheduler.register_node(REGISTRATION)
        request = DispatchRequest(session_id="s1", src_lang="en", tgt_lang="zh", payload_json="{}", job_id="j1")
        job = await scheduler.dispatch_task(request)
        await scheduler.complete_task(
            CompleteTaskRequest(job_id="j1", node_id=job.node_id, status=JobStatus.FAILED, error=secret)
        )
        app = create_app(Watcher(source), "t" * 20, frozenset({"x"}))
        async with app.router.lifespan_context(app):
            client = httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://x")
            async with client:
                for path in ("/api/log", "/api/about?kind=job&id=j1", "/api/log?match=job.completed"):
                    answer = await client.get(path)
                    assert answer.status_code == 200, answer.text
                    assert secret not in answer.text, path
                shown = await client.get("/api/about?kind=job&id=j1", headers={"authorization": "Bearer " + "t" * 20})
                assert secret in shown.text
                for odd in ("9" * 4300, "1-" + "9" * 4300, "9999-12-31T23:59:59-14:00", "0001-01-01"):
                    for path in (f"/api/moment?at={odd}", f"/api/log?at={odd}", f"/api/timeline?from={odd}"):
                        assert (await client.get(path)).status_code in (400, 404), path


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "gbk", "utf-8"])
def test_an_output_of_another_encoding_loses_no_result(cli: Cli, encoding: str) -> None:
    text = "grüß 语音 😀"
    worker, node = cli.start("worker"), cli.start("node", "n1", "--pools", "en-zh", "--exec", "cat")
    submit = ("submit", "--session", "s1", "--src", "en", "--tgt", "zh", "--timeout", "30")
    plain = cli.run_raw(*submit, text, PYTHONIOENCODING=encoding, PYTHONUTF8="0")
    assert (plain.returncode, plain.stderr) == (0, b""), plain
    as_json = cli.run_raw(*submit, "--json", text, PYTHONIOENCODING=encoding, PYTHONUTF8="0")
    assert json.loads(as_json.stdout.decode(encoding))["result_json"] == text
    for command in ("status", "tail --no-follow", "trace session s1"):
        shown = cli.run_raw(*command.split(), PYTHONIOENCODING=encoding, PYTHONUTF8="0")
        assert (shown.returncode, b"Traceback" in shown.stderr) == (0, False), (command, shown)
    assert cli.stop(node) == cli.stop(worker) == 0


async def test_a_heartbeat_timeout_of_zero_means_never(ledger: Ledger) -> None:
    await ledger.append(SchedulerConfigured(heartbeat_timeout_ms=0))
    await ledger.node("n1")
    for _ in range(3):
        await ledger.pass_time(86_400_000)
    assert (await ledger.info("n1"))["online"] == "true"
    await ledger.append(SchedulerConfigured(heartbeat_timeout_ms=30_000))
    await ledger.pass_time(3_700_000)
    assert (await ledger.info("n1"))["online"] == "false"


async def test_a_time_in_seconds_is_refused(ledger: Ledger) -> None:
    now = await ledger.now()
    job = ["type", "job.submitted", "session_id", "s", "src_lang", "en", "tgt_lang", "zh", "payload_json", "1"]
    code, reason, *_ = await ledger.answer([*job, "not_before_ts", str(now // 1000 + 60)])
    assert (code, "seems to be in seconds: give milliseconds" in reason) == ("INVALID_FIELD", True)
    assert (await ledger.answer([*job, "not_before_ts", "0"]))[0] == ""


async def test_a_rebuild_beside_workers_says_how_many_events_were_folded(ledger: Ledger) -> None:
    for n in range(30):
        await ledger.submit(f"j{n}")
    folded: list[int] = []

    async def fold() -> None:
        folded.append(await rebuild(ledger.redis, ledger.keys))

    async with anyio.create_task_group() as group:
        for _ in range(4):
            group.start_soon(fold)
    assert folded == [int((await ledger.hash("meta"))["folded"])] * 4


async def test_wrong_tokens_slow_only_the_address_that_they_come_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamsched.dashboard.guard.WRONG_S", 0.2)
    operators = Operators("t" * 20)
    answered: list[str] = []

    async def ask(address: str) -> None:
        headers = [(b"authorization", b"Bearer wrong")]
        assert not await operators.include(Request({"type": "http", "headers": headers, "client": (address, 1)}))
        answered.append(address)

    async with anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(ask, "10.0.0.1")
        group.start_soon(ask, "10.0.0.2")
    assert answered.index("10.0.0.2") <= 1
    assert not operators._brakes


def test_the_page_asks_below_the_path_at_which_it_was_opened() -> None:
    page = Path(routes.__file__).parent / "page"
    texts = [path.read_text() for path in page.rglob("*") if path.suffix in (".html", ".js")]
    assert not [found for text in texts for found in re.findall(r"""["`'(]/(?:api|page)/""", text)]


async def test_a_node_has_a_bounded_number_of_language_pairs(ledger: Ledger) -> None:
    name = "-".join(f"a{chr(97 + n // 26)}{chr(97 + n % 26)}" for n in range(32))
    pools = json.dumps([{"id": n, "name": name} for n in range(5)])
    code, reason, *_ = await ledger.answer(
        ["type", "node.registered", "node_id", "n1", "cap_json", "{}", "pool_names_json", pools]
    )
    assert (code, "has 4960 language pairs in all: give at most 4096" in reason) == ("INVALID_FIELD", True)
