"""A producer and a node that may do nothing but speak through their ingress streams: end to end, under their ACL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from streamsched.client.requests import DispatchRequest, SubmitRequest
from streamsched.client.scheduler import Scheduler
from streamsched.contract.errors import InvalidField, NotPermitted, ResultTimeout
from streamsched.contract.jobs import JobState
from streamsched.contract.keys import Keys
from streamsched.node.node import Node
from streamsched.ops.acl import source_rules

from ..support.processes import Cli, eventually
from ..support.servers.guarded import SECRET, Guarded, guarded

pytestmark = pytest.mark.anyio

SUBMIT = ("submit", "--source", "web", "--session", "s1", "--src", "en", "--tgt", "zh", "--timeout", "30")


@pytest.fixture(scope="module")
def system(binary: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """A guarded server with a worker; a producer and a node beyond it, who may only speak through ingress streams."""
    with guarded(binary, tmp_path_factory.mktemp("ingress")) as system:
        system.admit("producer", "web", "--source", "web")
        system.admit("producer", "shop", "--source", "shop")
        system.admit("node", "gpu", "--source", "gpu", "--node", "n1")
        system.load()
        for fields in (
            ["source=web", "role=producer"],
            ["source=shop", "role=producer"],
            ["source=gpu", "role=node", "node_id=n1", "pools=*"],
        ):
            assert system.run("operator", "append", "source.admitted", *fields).code == 0
        system.start("worker", "worker")
        node = ("node", "n1", "--source", "gpu", "--pools", "en-zh", "--exec", "tr a-z A-Z", "--heartbeat-ms", "300")
        system.start("gpu", *node)
        eventually(lambda: system.admin.zcard(system.cli.keys("expiry")))
        yield system


def test_a_job_goes_through_both_and_back_and_the_log_says_who_spoke(system: Guarded) -> None:
    assert system.run("web", *SUBMIT, "--job-id", "j1", "hello").out == "HELLO\n"
    entries = system.admin.xrange(system.cli.keys("events"))
    outcome = [(e["type"], e.get("source")) for _, e in entries if e.get("job_id") == "web/j1"]
    assert outcome == [
        ("job.submitted", "web"),
        ("job.dispatched", None),
        ("job.started", "gpu"),
        ("job.completed", "gpu"),
    ]


def test_no_role_lacks_a_right_that_it_needs(system: Guarded) -> None:
    system.admin.acl_log_reset()
    assert system.run("web", *SUBMIT, "hello").out == "HELLO\n"
    assert system.run("web", "cancel", "--source", "web", "nothing").code == 0
    assert system.run("web", "append", "--source", "web", "session.released", "session_id=s1").code == 0
    assert system.run("web", "submit", "--source", "web", "--session", "s", "--src", "a", "--tgt", "b", "1").code == 0
    assert system.admin.acl_log() == []


async def test_what_an_ingress_cannot_do_is_refused_with_the_remedy(system: Guarded) -> None:
    async with Scheduler.connect(system.url("web"), system.cli.keys.namespace, source="web") as scheduler:
        request = DispatchRequest(session_id="s", src_lang="en", tgt_lang="zh", payload_json="1")
        with pytest.raises(NotPermitted, match="submit the job instead, or connect without a source"):
            await scheduler.dispatch_task(request)
        with pytest.raises(ValueError, match="leave mailbox out"):
            Node(scheduler, "n1", pools=["en-zh"], mailbox="n2")
    with pytest.raises(InvalidField, match="letters, digits"):
        async with Scheduler.connect(system.url("web"), source="a b"):
            pass


async def test_the_producer_learns_of_a_refused_submission(system: Guarded) -> None:
    async with Scheduler.connect(system.url("web"), system.cli.keys.namespace, source="web") as scheduler:
        request = SubmitRequest(session_id="s", src_lang="en", tgt_lang="zh", payload_json="1", priority=9)
        refused = await (await scheduler.submit(request)).result(30)
        assert refused.status is JobState.REFUSED
        assert refused.error.startswith('NOT_PERMITTED type "job.submitted": source web (producer)')
        waiting = SubmitRequest(session_id="s", src_lang="xx", tgt_lang="yy", payload_json="1", job_id="w1")
        job = await scheduler.submit(waiting)
        assert job.job_id == "web/w1"
        with pytest.raises(ResultTimeout):
            await job.result(0.5)
        await scheduler.cancel("w1", "enough")
        assert (await job.result(30)).status is JobState.CANCELLED


def test_a_node_that_comes_again_hands_back_what_it_held(system: Guarded) -> None:
    keys = system.cli.keys
    append = ("append", "source.admitted", "source=gpu2", "role=node", "node_id=n2", "pools=*")
    assert system.run("operator", *append).code == 0
    system.admit("node", "gpu2", "--source", "gpu2", "--node", "n2")
    system.load()
    node = ("node", "n2", "--source", "gpu2", "--pools", "en-fr", "--heartbeat-ms", "300", "--exec")
    first = system.start("gpu2", *node, "sleep 600")
    submit = ("submit", "--source", "web", "--session", "s2", "--src", "en", "--tgt", "fr", "--job-id", "j2", "hello")
    assert system.run("web", *submit).code == 0
    job = keys.job("web/j2")
    eventually(lambda: system.admin.hget(job, "status") == "running")
    first.kill()
    first.wait()
    system.start("gpu2", *node, "tr a-z A-Z")
    eventually(lambda: system.admin.hget(job, "status") == "finished")
    assert system.admin.hget(job, "result_json") == "HELLO"


FOREIGN = "guarded:{0}:"
FORBIDDEN: list[tuple[str, list[str]]] = [
    *(
        (who, command)
        for who in ("web", "gpu")
        for command in (
            ["XADD", f"{FOREIGN}events", "*", "type", "x"],
            ["XADD", f"{FOREIGN}heartbeats", "*", "type", "x"],
            ["XADD", f"{FOREIGN}in:shop", "*", "type", "x"],
            ["XRANGE", f"{FOREIGN}events", "-", "+"],
            ["XRANGE", f"{FOREIGN}dead", "-", "+"],
            ["HGETALL", f"{FOREIGN}job:web/j1"],
            ["HMGET", f"{FOREIGN}job:shop/j1", "payload_json"],
            ["HSET", f"{FOREIGN}meta", "watermark", "0-0"],
            ["XREAD", "STREAMS", f"{FOREIGN}reply:shop/1", "0"],
            ["XREAD", "STREAMS", f"{FOREIGN}inbox:n2", "0"],
            ["XREAD", "STREAMS", f"{FOREIGN}in:{who}", "0"],
            ["DEL", f"{FOREIGN}in:{who}"],
            ["EVAL", "return 1", "0"],
            ["SCAN", "0"],
            ["INFO"],
            ["KEYS", "*"],
            ["FLUSHALL"],
            ["CONFIG", "GET", "*"],
            ["ACL", "LIST"],
            ["XTRIM", f"{FOREIGN}in:{who}", "MAXLEN", "0"],
        )
    ),
    ("web", ["XADD", f"{FOREIGN}reply:web/1", "*", "job_id", "x"]),
    ("web", ["XREAD", "STREAMS", f"{FOREIGN}inbox:n1", "0"]),
    ("gpu", ["XREAD", "STREAMS", f"{FOREIGN}reply:web/1", "0"]),
    ("gpu", ["SMEMBERS", f"{FOREIGN}node:jobs:n2"]),
    ("gpu", ["XADD", f"{FOREIGN}inbox:n1", "*", "type", "job.assigned"]),
]


@pytest.mark.parametrize(
    ("user", "command"), FORBIDDEN, ids=[f"{user}: {' '.join(command)[:40]}" for user, command in FORBIDDEN]
)
def test_a_source_can_do_nothing_but_write_to_its_ingress(system: Guarded, user: str, command: list[str]) -> None:
    with pytest.raises(Exception, match=r"permission"):
        system.client(user).execute_command(*command)


def test_what_others_say_in_an_ingress_of_theirs_is_theirs(system: Guarded) -> None:
    """A source reports for no node of another source, and cancels no job of another."""
    keys, dead = system.cli.keys, system.admin.xlen(system.cli.keys("dead"))
    submit = ("submit", "--source", "web", "--session", "s", "--src", "x", "--tgt", "y", "--job-id", "j3", "1")
    assert system.run("web", *submit).code == 0
    eventually(lambda: system.admin.hget(keys.job("web/j3"), "status") == "created")
    assert system.run("shop", "cancel", "--source", "shop", "web/j3").code == 0
    assert system.run("gpu", "append", "--source", "gpu", "node.offline", "node_id=n2").code == 0
    eventually(lambda: system.admin.xlen(keys("dead")) == dead + 2)
    assert system.admin.hget(keys.job("web/j3"), "status") == "created"


def test_the_secret_of_a_source_is_not_printed(system: Guarded) -> None:
    assert SECRET not in "".join(map(system.cli.output, system.cli.started))


@pytest.mark.parametrize("node", ["n1", "a*b", "[x]", "back\\slash", "q?"])
async def test_the_name_of_a_node_is_no_pattern(redis: Any, node: str) -> None:
    rules = source_rules("node", Keys("ns"), "gpu", node, database=1)
    await redis.execute_command("ACL", "SETUSER", "probe", *rules, ">x")
    assert await redis.execute_command("ACL", "DRYRUN", "probe", "SMEMBERS", f"ns:{{0}}:node:jobs:{node}") == "OK"
    other = "n2" if node == "n1" else node.replace("*", "z").replace("[x]", "x").replace("\\", "").replace("?", "z")
    refused = await redis.execute_command("ACL", "DRYRUN", "probe", "SMEMBERS", f"ns:{{0}}:node:jobs:{other}")
    assert "permission" in str(refused)
    await redis.acl_deluser("probe")


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["worker", "--source", "web"], "--source needs the role producer"),
        (["node", "--source", "gpu"], "with --node NAME"),
        (["producer", "--source", "web", "--node", "n1"], "with --node NAME"),
        (["node", "--node", "n1"], "--node goes with --source"),
        (["producer", "--source", "a b"], "up to 64 letters, digits"),
        (["node", "--source", "gpu", "--node", "a b"], "cannot hold blanks"),
    ],
)
def test_names_that_do_not_go_with_a_role_are_usage_errors(cli: Cli, flags: list[str], words: str) -> None:
    refused = cli.run("acl", *flags)
    assert refused.code == 2
    assert words in refused.err
