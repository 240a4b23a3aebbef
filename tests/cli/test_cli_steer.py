"""Steering a fleet from the command line: each command is an event with its reason, and is answered for itself."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ..support.processes import Cli

PAIR = {"src_lang": "en", "tgt_lang": "zh"}


@pytest.fixture
def fleet(cli: Cli) -> Cli:
    for node_id in ("n1", "n2"):
        registered = (
            "node.registered",
            f"node_id={node_id}",
            "cap_json={}",
            'pool_names_json=[{"id":1,"name":"en-zh"}]',
        )
        assert cli.run("append", *registered).code == 0
        assert cli.run("append", "node.heartbeat", f"node_id={node_id}", "online=true").code == 0
    return cli


def last(cli: Cli, kind: str) -> Any:
    return [fields for _, fields in cli.redis.xrange(cli.keys("events")) if fields["type"] == kind][-1]


def submit(cli: Cli, job_id: str) -> None:
    done = cli.run("submit", "--session", "s1", "--src", "en", "--tgt", "zh", "--job-id", job_id, "hello")
    assert done.code == 0, done


def status(cli: Cli, job_id: str) -> Any:
    return cli.redis.hget(cli.keys.job(job_id), "status")


def test_nodes_are_cordoned_and_let_go_again_and_the_log_keeps_why(fleet: Cli) -> None:
    done = fleet.run("cordon", "n1", "n9", "n2", "--reason", "runs hot")
    assert (done.code, done.out) == (1, "n1 cordoned\nn2 cordoned\n")
    assert "n9: UNKNOWN_NODE" in done.err
    assert last(fleet, "node.cordoned")["reason"] == "runs hot"
    submit(fleet, "j1")
    assert status(fleet, "j1") == "created"
    done = fleet.run("uncordon", "n2", "--json")
    assert json.loads(done.out)["event"] == "node.uncordoned"
    assert fleet.redis.hget(fleet.keys.job("j1"), "node_id") == "n2"


def test_a_drain_waits_until_the_node_holds_nothing_or_its_deadline_says_what_it_still_holds(fleet: Cli) -> None:
    fleet.run("cordon", "n2")
    submit(fleet, "j1")
    done = fleet.run("drain", "n1", "n2", "--at-once", "2", "--deadline", "1s", "--reason", "new driver")
    assert done.code == 1
    assert "n2 holds nothing" in done.out
    assert "n1 still holds 1: j1; it gets no more jobs" in done.err
    done = fleet.run("drain", "n1", "--deadline", "1s", "--reason", "new driver", "--json")
    assert json.loads(done.out.splitlines()[-1]) == {"node_id": "n1", "held": 1, "job_ids": ["j1"], "drained": True}
    assert last(fleet, "node.drained")["reason"] == "new driver"
    assert fleet.run("append", "job.completed", "job_id=j1", "node_id=n1", "status=finished").code == 0
    done = fleet.run("drain", "n1", "--json")
    assert (done.code, json.loads(done.out.splitlines()[-1])) == (0, {"node_id": "n1", "held": 0})


@pytest.mark.parametrize("subject", [("--pool", "1"), ("--pair", "en:zh")])
def test_what_is_paused_waits_until_it_is_resumed(fleet: Cli, subject: tuple[str, str]) -> None:
    assert fleet.run("pause", *subject, "--reason", "bad model").code == 0
    submit(fleet, "j1")
    assert status(fleet, "j1") == "created"
    assert "bad model" in fleet.run("status").out
    assert fleet.run("resume", *subject).code == 0
    assert status(fleet, "j1") == "dispatched"


@pytest.mark.parametrize(
    ("arguments", "code", "outcome"),
    [
        (("pause",), 2, "give either --pool or --pair"),
        (("pause", "--pool", "1", "--pair", "en:zh"), 2, "give either --pool or --pair"),
        (("pause", "--pair", "en"), 2, "give both languages"),
        (("resume", "--pool", "9"), 1, "UNKNOWN_POOL"),
        (("drain", "n1", "--deadline", "soon"), 2, "give an age"),
        (("configure", "max_attempts"), 2, "is not key=value"),
        (("configure", "max_jobs=4"), 2, "is not a configuration key: give one of heartbeat_timeout_ms (30000)"),
        (("configure", "max_attempts=many"), 1, "max_attempts"),
        (("configure", "max_attempts=7"), 2, "Give --yes"),
    ],
)
def test_what_cannot_be_done_says_why_and_changes_nothing(
    fleet: Cli, arguments: tuple[str, ...], code: int, outcome: str
) -> None:
    before = fleet.redis.xlen(fleet.keys("events"))
    refused = fleet.run(*arguments)
    assert refused.code == code, refused
    assert outcome in refused.err
    assert "Traceback" not in refused.err
    if code == 2:
        assert fleet.redis.xlen(fleet.keys("events")) == before


def test_the_configuration_is_shown_and_what_differs_is_changed(fleet: Cli) -> None:
    assert "max_attempts=3\n" in fleet.run("configure").out
    done = fleet.run("configure", "max_attempts=7", "retention_ms=3600000", "--yes", "--reason", "flaky cards")
    assert (done.code, done.out) == (0, "max_attempts: 3 → 7\n")
    changed = last(fleet, "scheduler.configured")
    assert (changed["max_attempts"], changed["reason"]) == ("7", "flaky cards")
    assert "retention_ms" not in changed, "it was in force before"
    assert "max_attempts=7  (default 3)" in fleet.run("configure").out
    assert "no change" in fleet.run("configure", "max_attempts=7").out
