"""A decision that nothing could have led to is named by the model; each row would be lawful but for one thing."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from .fold import Model
from .refusals import Unlawful

START = 1_700_000_000_000
POOLS = '[{"id":1,"name":"en-zh"}]'


class Log:
    """A model to which things happen, n ms after it began."""

    def __init__(self) -> None:
        self.model, self.ms, self.number = Model(), 0, 0

    def at(self, ms: int) -> Log:
        """Let it be ``ms`` after the beginning."""
        self.ms = ms
        return self

    def add(self, kind: str, **fields: Any) -> str:
        """Append an event and fold it; returns its id."""
        self.number += 1
        entry_id = f"{START + self.ms}-{self.number}"
        flat = ["type", kind]
        for name, value in fields.items():
            flat += (name, str(value))
        assert self.model.step(entry_id, flat) is None, self.model.dead
        return entry_id

    def submit(self, job_id: str = "j1", **more: Any) -> None:
        asked = {"session_id": "s1", "src_lang": "zh", "tgt_lang": "en", "payload_json": "{}", "job_id": job_id}
        self.add("job.submitted", **asked | more)

    def node(self, node_id: str = "n1", pools: str = POOLS) -> None:
        self.add("node.registered", node_id=node_id, cap_json="{}", pool_names_json=pools)

    def dispatch(self, job_id: str = "j1", node_id: str = "n1", pool_id: str = "1", **more: str) -> str:
        outcome = {"nonce": "a", "seen": "", "why": "only", "affinity": "new"} | more
        return self.add("job.dispatched", job_id=job_id, node_id=node_id, pool_id=pool_id, **outcome) + "-a"

    def requeue(self, cause: str, **more: Any) -> None:
        self.add("job.requeued", job_id="j1", node_id="n1", cause=cause, **more)


def world() -> Log:
    """Node n1 is online and holds j1, which is to be accepted within 10 s; j2 waits for another pair, j0 has ended."""
    log = Log()
    log.node()
    log.node("n2")
    log.add("node.offline", node_id="n2")
    log.submit("j1", max_attempts=1)
    log.submit("j2", src_lang="de", deadline_ts=START + 60_000)
    log.submit("j0")
    log.add("job.cancelled", job_id="j0")
    log.dispatch()
    return log


def test_what_the_scheduler_does_in_such_a_world_is_lawful() -> None:
    log = world().at(10_000)
    log.requeue("accept timeout", refund="true", stalled="true")
    log.at(60_000).add("job.expired", job_id="j2")
    log.add("node.expired", node_id="n1", last_heartbeat_ts=0)
    log.add("node.recovered", node_id="n2", accepting="true")
    attempt = log.dispatch(node_id="n2")
    log.add("job.started", job_id="j1", node_id="n2", attempt=attempt)
    log.add("node.offline", node_id="n2")
    log.add("job.exhausted", job_id="j1", cause="node lost: attempt 1 of 1", nodes="n2")


UNLAWFUL: dict[str, tuple[int, str, dict[str, Any], str]] = {
    "a job that ended is dispatched": (0, "dispatch", {"job_id": "j0"}, "j0 is cancelled"),
    "an unknown job is dispatched": (0, "dispatch", {"job_id": "j9"}, "there is no job j9"),
    "a job that is held is dispatched": (0, "dispatch", {"job_id": "j1"}, "does not wait for a node"),
    "a job goes to a node that is offline": (0, "dispatch", {"job_id": "j2", "node_id": "n2"}, "may not receive a job"),
    "a job goes to an unknown node": (
        0,
        "dispatch",
        {"job_id": "j2", "node_id": "n9"},
        "may not receive a job",
    ),
    "a job goes to a pool of other languages": (0, "dispatch", {"job_id": "j2"}, "does not serve"),
    "a job goes to a pool that its node has left": (
        0,
        "dispatch",
        {"job_id": "j2", "pool_id": "7"},
        "is not in the pool",
    ),
    "an assignment times out too early": (
        9_999,
        "requeue",
        {"cause": "accept timeout", "refund": "true", "stalled": "true"},
        "accept timeout",
    ),
    "an assignment that was not taken counts as an attempt": (
        10_000,
        "requeue",
        {"cause": "accept timeout", "stalled": "true"},
        "an attempt",
    ),
    "a node that did not take its jobs stays open": (
        10_000,
        "requeue",
        {"cause": "accept timeout", "refund": "true"},
        "stalled",
    ),
    "a job is lost with a node that is online": (
        10_000,
        "requeue",
        {"cause": "node lost", "refund": "true"},
        "node lost",
    ),
    "a job runs out of time without a limit": (10_000, "requeue", {"cause": "job timeout"}, "job timeout"),
    "a job is said to have failed": (10_000, "requeue", {"cause": "failed"}, "failed"),
    "a job expires too early": (59_999, "job.expired", {"job_id": "j2"}, "has time until"),
    "a job without a deadline expires": (60_000, "job.expired", {"job_id": "j1"}, "has time until None"),
    "a job that is not due is due": (60_000, "job.due", {"job_id": "j2"}, "is not due"),
    "a limit is extended that was not missed": (
        9_000,
        "job.extended",
        {"job_id": "j1", "until_ts": START + 19_000},
        "missed nothing",
    ),
    "a job that can wait is refused": (
        0,
        "job.refused",
        {"job_id": "j2", "code": "EMPTY_POOL", "detail": ""},
        "can wait",
    ),
    "a job is given up that may be tried again": (
        0,
        "job.exhausted",
        {"job_id": "j1", "cause": "failed: attempt 1 of 1"},
        "failed",
    ),
    "a node expires too early": (29_999, "node.expired", {"node_id": "n1", "last_heartbeat_ts": 0}, "was heard of"),
    "a node that is offline expires": (
        90_000,
        "node.expired",
        {"node_id": "n2", "last_heartbeat_ts": 0},
        "offline already",
    ),
    "a node comes back that never went": (
        0,
        "node.recovered",
        {"node_id": "n1", "accepting": "true"},
        "online already",
    ),
    "a node reports what is known": (
        0,
        "node.reported",
        {"node_id": "n1", "online": "true", "accepting": "true"},
        "just what",
    ),
    "a short silence is an absence": (2_000, "scheduler.resumed", {"since_ts": START}, "no absence"),
    "an older version takes over": (0, "scheduler.upgraded", {"fold_version": 1}, "no newer one"),
}
"""When, what, with which fields, and what the model says of it."""


@pytest.mark.parametrize("case", UNLAWFUL)
def test_a_decision_that_nothing_could_have_led_to_is_named(case: str) -> None:
    ms, kind, fields, words = UNLAWFUL[case]
    log = world().at(ms)
    ways: dict[str, Callable[..., Any]] = {"dispatch": log.dispatch, "requeue": log.requeue}
    decide = ways.get(kind, partial(log.add, kind))
    with pytest.raises(Unlawful, match=words):
        decide(**fields)


def test_a_limit_that_ran_out_while_the_scheduler_was_away_has_no_effect() -> None:
    log = world().at(20_000)
    log.add("scheduler.resumed", since_ts=START + 5_000)
    with pytest.raises(Unlawful, match="accept timeout"):
        log.requeue("accept timeout", refund="true", stalled="true")
    log.add("job.extended", job_id="j1", until_ts=START + 30_000)
    log.at(30_000).requeue("accept timeout", refund="true", stalled="true")


def test_an_immediate_job_is_refused_for_what_is_really_missing() -> None:
    for pair, code in ((("de", "en"), "NO_POOL_FOR_LANG_PAIR"), (("zh", "en"), "NO_AVAILABLE_NODE")):
        log = world()
        log.add("node.cordoned", node_id="n1")
        log.submit("now", src_lang=pair[0], tgt_lang=pair[1], immediate="true")
        with pytest.raises(Unlawful, match=code):
            log.add("job.refused", job_id="now", code="EMPTY_POOL", detail="")
        log.add("job.refused", job_id="now", code=code, detail="")
    log = world()
    log.submit("now", immediate="true")
    with pytest.raises(Unlawful, match="there is a node for now"):
        log.add("job.refused", job_id="now", code="NO_AVAILABLE_NODE", detail="")
