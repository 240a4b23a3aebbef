"""The whole system under least privilege: every role as a user of its own, and what each must not do."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from streamsched.client.requests import DispatchRequest
from streamsched.client.scheduler import Scheduler
from streamsched.contract.keys import Keys
from streamsched.engine.script import script
from streamsched.ops.acl import ROLES, commands_of, rules
from streamsched.server.embedded import free_port

from ..support.processes import SUBMIT, Cli, eventually
from ..support.servers.guarded import SECRET, Guarded, guarded

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def system(binary: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """A guarded server, with a worker and a node at work."""
    with guarded(binary, tmp_path_factory.mktemp("guarded")) as system:
        system.start("worker", "worker")
        system.start("node", "node", "n1", "--pools", "en-zh", "--exec", "tr a-z A-Z", "--heartbeat-ms", "200")
        eventually(lambda: system.admin.zcard(system.cli.keys("expiry")))
        assert system.run("producer", *SUBMIT, "--timeout", "30", "--job-id", "j1", "hello").out == "HELLO\n"
        yield system


def test_the_default_user_may_do_nothing(system: Guarded) -> None:
    refused = system.cli.run("status")
    assert refused.code == 3
    assert "refused the login" in refused.err


async def test_a_producer_dispatches_submits_and_cancels(system: Guarded) -> None:
    async with Scheduler.connect(system.url("producer"), system.cli.keys.namespace) as scheduler:
        request = DispatchRequest(session_id="s", src_lang="en", tgt_lang="zh", payload_json="1", deliver=True)
        job = await scheduler.dispatch_task(request)
        assert job.node_id == "n1"
    submit = ("submit", "--session", "s", "--src", "xx", "--tgt", "yy", "--deadline-ms", "9999", "1")
    waiting = system.run("producer", *submit)
    assert system.run("producer", "cancel", waiting.out.strip()).code == 0
    assert system.run("producer", "append", "session.released", "session_id=s").code == 0


def test_the_dashboard_shows_with_the_rights_of_an_auditor_and_acts_with_those_of_an_operator(system: Guarded) -> None:
    system.admin.acl_log_reset()
    for role, status in (("auditor", 409), ("operator", 200)):
        port = free_port()
        shown = system.cli.start("dashboard", "--bind", f"127.0.0.1:{port}", STREAMSCHED_DASHBOARD_TOKEN="t" * 20,
                                 **system.who(role))  # fmt: skip
        eventually(partial(_answers, system, shown))
        with httpx.Client(base_url=f"http://127.0.0.1:{port}/api/", timeout=30, trust_env=False) as client:
            with client.stream("GET", "live") as page:
                first = next(line for line in page.iter_lines() if line.startswith("data: "))
                assert json.loads(first.removeprefix("data: "))["nodes"]["ids"] == ["n1"]
            for question in ("moment?at=1", "about?kind=node&id=n1", "log?match=submitted"):
                assert client.get(question).status_code == 200, (role, question)
            assert system.admin.acl_log() == []
            action = {"action": "uncordon", "id": "n1"}
            done = client.post("act", json=action, headers={"authorization": "Bearer " + "t" * 20})
            assert done.status_code == status, done.text
        assert system.cli.stop(shown) == 0
        system.admin.acl_log_reset()


def test_the_exporter_measures_with_the_rights_of_an_auditor(system: Guarded) -> None:
    system.admin.acl_log_reset()
    port = free_port()
    exporter = system.start("auditor", "metrics", "--bind", f"127.0.0.1:{port}")
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30, trust_env=False) as client:
        eventually(lambda: '"metrics"' in system.cli.output(exporter))
        one = 'streamsched_nodes{partition="0",scheduler="guarded",state="open"} 1.0'
        eventually(lambda: one in client.get("/").text)
        for name in ("server_up", "script_seconds_count", "workers"):
            assert re.search(rf"^streamsched_{name}{{.*}} [1-9]", client.get("/").text, re.MULTILINE), name
    assert system.cli.stop(exporter) == 0
    assert system.admin.acl_log() == []


def _answers(system: Guarded, process: Any) -> bool:
    return "dashboard" in system.cli.output(process)


WORK: list[tuple[str, list[str]]] = [
    ("auditor", ["status"]),
    ("auditor", ["verify"]),
    ("auditor", ["explain", "job", "j1"]),
    ("auditor", ["trace", "job", "j1"]),
    ("auditor", ["tail", "--no-follow"]),
    ("auditor", ["query", "SELECT count(*) FROM events"]),
    ("auditor", ["dead", "list"]),
    ("auditor", ["archive", "--to", "copied", "--once"]),
    ("operator", ["append", "node.cordoned", "node_id=n1"]),
    ("operator", ["append", "node.uncordoned", "node_id=n1"]),
    ("operator", ["append", "scheduler.configured", "max_attempts=4"]),
    ("operator", ["dead", "drop", "--all", "--yes"]),
    ("archiver", ["archive", "--to", "kept", "--once", "--trim", "--yes"]),
    ("operator", ["rebuild", "--from", "kept", "--yes"]),
    ("auditor", ["verify", "--archive", "kept"]),
    ("operator", ["status"]),
    ("operator", [*SUBMIT, "--timeout", "30", "hello"]),
    ("producer", [*SUBMIT, "--timeout", "30", "hello"]),
]
"""What each role has to do, in this order."""


def test_each_role_may_do_its_work_and_is_refused_nothing_that_it_needs(system: Guarded) -> None:
    system.admin.acl_log_reset()
    meta = system.cli.keys("meta")
    system.admin.hset(meta, "begin", "torn")
    eventually(lambda: system.admin.hget(meta, "rebuilt_ts"))  # by the worker, with its own rights
    assert system.run("operator", "append", "node.offline", "node_id=nobody").code == 1
    listed = json.loads(system.run("auditor", "dead", "list", "--json").out.splitlines()[0])
    assert system.run("operator", "dead", "retry", listed["letter"]).code == 1, "it is refused again, by the fold"
    for role, command in WORK:
        done = system.run(role, *command)
        assert done.code == 0, (role, command, done)
    # an auditor that archives may not say so to the fleet
    assert {(entry["username"], entry["object"]) for entry in system.admin.acl_log()} <= {("auditor", "hset")}


ELSEWHERE = ["XADD", "guarded:{1}:events", "*", "type", "x"]
FORBIDDEN_TO_ALL: list[list[str]] = [
    ["FLUSHALL"],
    ["FLUSHDB"],
    ["CONFIG", "GET", "requirepass"],
    ["CONFIG", "SET", "appendonly", "no"],
    ["ACL", "LIST"],
    ["ACL", "SETUSER", "me", "on", "+@all"],
    ["KEYS", "*"],
    ["SHUTDOWN", "NOSAVE"],
    ["REPLICAOF", "127.0.0.1", "1"],
    ["SCRIPT", "FLUSH"],
    ["FUNCTION", "FLUSH"],
    ["MONITOR"],
    ["CLIENT", "KILL", "TYPE", "normal"],
    ["CLIENT", "LIST"],
    ["SAVE"],
    ["SET", "guarded:{0}:meta", "x"],
    ["RENAME", "guarded:{0}:events", "guarded:{0}:gone"],
    ["GET", "secret-of-another-program"],
    ["XRANGE", "guarded:{1}:events", "-", "+"],
    ["SUBSCRIBE", "anything"],
    ["PUBLISH", "anything", "x"],
    ELSEWHERE,
]
"""What no role of the scheduler has to do with."""

NOT_EVEN: list[tuple[str, list[str]]] = [
    ("producer", ["XDEL", "guarded:{0}:events", "1-1"]),
    ("producer", ["XTRIM", "guarded:{0}:events", "MAXLEN", "0"]),
    ("producer", ["XGROUP", "DESTROY", "guarded:{0}:events", "fold"]),
    ("producer", ["SCAN", "0"]),
    ("producer", ["INFO"]),
    ("node", ["XDEL", "guarded:{0}:events", "1-1"]),
    ("node", ["INFO"]),
    ("worker", ["XTRIM", "guarded:{0}:events", "MAXLEN", "0"]),
    ("worker", ["XTRIM", "guarded:{0}:dead", "MAXLEN", "0"]),
    ("worker", ["EVAL", "return redis.call('XTRIM', 'guarded:{0}:events', 'MAXLEN', 0)", "0"]),
    ("archiver", ["XADD", "guarded:{0}:events", "*", "type", "x"]),
    ("archiver", ["DEL", "guarded:{0}:events"]),
    ("archiver", ["XADD", "guarded:{0}:dead", "*", "code", "x"]),
    ("archiver", ["HSET", "guarded:{0}:job:j1", "status", "failed"]),
    ("archiver", ["EVAL", "return redis.call('HSET', 'guarded:{0}:job:j1', 'status', 'failed')", "0"]),
    ("archiver", ["XRANGE", "guarded:{0}:inbox:n1", "-", "+"]),
    ("auditor", ["XADD", "guarded:{0}:events", "*", "type", "x"]),
    ("auditor", ["HSET", "guarded:{0}:meta", "watermark", "0-0"]),
    ("auditor", ["DEL", "guarded:{0}:events"]),
    ("auditor", ["XTRIM", "guarded:{0}:events", "MAXLEN", "0"]),
    ("auditor", ["EVAL", "return 1", "0"]),
    ("auditor", ["XGROUP", "SETID", "guarded:{0}:events", "fold", "$"]),
    ("auditor", ["XREADGROUP", "GROUP", "fold", "me", "STREAMS", "guarded:{0}:events", ">"]),
    ("operator", ["XGROUP", "DESTROY", "guarded:{0}:events", "fold"]),
]

REFUSED = [*((role, command) for role in ROLES for command in FORBIDDEN_TO_ALL), *NOT_EVEN]


@pytest.mark.parametrize(
    ("role", "command"), REFUSED, ids=[f"{role}: {' '.join(command)[:40]}" for role, command in REFUSED]
)
def test_what_a_role_must_not_do_is_refused(system: Guarded, role: str, command: list[str]) -> None:
    with pytest.raises(Exception, match=r"permission|NOPERM|can't access"):
        system.client(role).execute_command(*command)


def test_the_refusal_of_the_server_names_the_remedy(system: Guarded) -> None:
    refused = system.run("auditor", "append", "node.cordoned", "node_id=n1")
    assert (refused.code, refused.err.count("\n")) == (1, 1)
    assert "NOT_PERMITTED: the server says:" in refused.err
    assert "`streamsched acl ROLE`" in refused.err


def test_a_secret_is_nowhere_but_in_its_file(system: Guarded) -> None:
    url = system.who("worker")["STREAMSCHED_URL"]
    refused = system.cli.run("status", STREAMSCHED_URL=url, STREAMSCHED_PASSWORD=SECRET)
    assert refused.code == 3
    printed = refused.out + refused.err + "".join(map(system.cli.output, system.cli.started))
    listed = subprocess.run(["ps", "-ww", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert "streamsched worker" in listed
    assert SECRET not in printed + listed
    for path in system.folder.rglob("*"):
        kept = path.is_file() and path.suffix not in (".secret", ".acl") and path.read_bytes()
        assert not kept or SECRET.encode() not in kept, path
    for key in system.admin.scan_iter(count=1000):
        assert SECRET.encode() not in system.admin.dump(key), key


@pytest.mark.parametrize("role", ROLES)
async def test_a_server_knows_every_command_that_a_role_is_permitted(role: str, redis: Any) -> None:
    await redis.execute_command("ACL", "SETUSER", "probe", *rules(role, Keys("ns", 3), database=2))
    user = await redis.acl_getuser("probe")
    assert "+select" in user["commands"]
    assert all("ns:{3}:" in pattern for pattern in user["keys"])
    await redis.acl_deluser("probe")


def test_the_commands_of_a_script_are_read_from_its_text() -> None:
    text = """
        rcall('HSET', key, 'x', 1) want('ZADD', k) rcall(open and 'SADD' or 'SREM', k) local t = { 'XADD', k, 'MAXLEN' }
        redis.pcall('XGROUP', 'SETID', k) fail('GAP') rcall('XINFO', 'STREAM', k) status == 'finished'
    """
    assert commands_of(text) == {"hset", "zadd", "sadd", "srem", "xadd", "xgroup|setid", "xinfo|stream"}
    assert {"xadd", "hset", "xinfo|stream"} <= commands_of(script("append").text)


def test_without_a_password_the_line_is_one_that_no_server_takes(cli: Cli) -> None:
    printed = cli.run("acl", "worker")
    assert "user worker reset on #SHA256-OF-THE-PASSWORD " in printed.out
    assert "--password-file" in printed.err
    with pytest.raises(Exception, match="ACL SETUSER"):
        cli.redis.execute_command("ACL", "SETUSER", *printed.out.split()[1:])
    assert cli.run("acl", "worker", "--user", "a b").code == 2
    assert cli.run("acl", "worker", "--password-file", "nowhere").code == 2
