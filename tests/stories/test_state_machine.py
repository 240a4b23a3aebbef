"""Producers, nodes, workers, the clock and crashes in any order, with the invariants looked at after every step.

A crash is what it leaves behind: an event that is not folded, a call that stops at its bound, a node that
forgets what it was given, a reply that is lost so that the same thing is said twice, a call torn half way.

``STREAMSCHED_EXPLORE=500`` walks that many new paths instead of the ones that every run takes.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Coroutine
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from redis.asyncio import Redis

from streamsched.contract.errors import PartitionHalted
from streamsched.contract.keys import Keys
from streamsched.engine.script import script
from streamsched.engine.source import facts
from streamsched.replay.rebuild import rebuild
from streamsched.server.embedded import EmbeddedServer

from ..support.ledger import Ledger

HELD = ("dispatched", "running")
TERMINAL = ("finished", "failed", "cancelled", "expired", "refused")
PAIRS = [("en", "zh"), ("zh", "en"), ("de", "en"), ("en", "de"), ("de", "zh")]
POOLS = ["en-zh", "de-en", "de-en-zh"]
NODES = ["n1", "n2", "n3", "n4"]

EXTRAS: list[dict[str, str]] = [
    *[{} for _ in range(6)],
    {"priority": "5"},
    {"priority": "-1", "reply_to": "me"},
    {"max_attempts": "1"},
    {"max_attempts": "2", "reply_to": "me"},
    {"affinity": "none"},
    {"immediate": "true", "reply_to": "me"},
    {"immediate": "true", "deliver": "false"},
    {"deliver": "false"},
]

WORDS = ["progressed", "full", "declined", "failed", "finished unsigned"]

nodes = st.sampled_from(NODES)
hows = st.sampled_from(["append", "xadd"])
few = st.integers(0, 7)


class Partition(RuleBasedStateMachine):
    """Everything around the scripts, as the design lets it behave."""

    server: EmbeddedServer

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.redis: Any = Redis.from_url(self.server.url, decode_responses=True, protocol=2)
        self.keys = Keys("machine")
        self.ledger = Ledger(self.redis, self.keys)
        self.submitted: list[dict[str, str]] = []
        self.in_hand: dict[str, list[dict[str, str]]] = {node: [] for node in NODES}  # what each node has read
        self.read_to: dict[str, str] = dict.fromkeys(NODES, "0-0")
        self.ended: dict[str, dict[str, str]] = {}

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(work)

    def tell(self, how: str, kind: str, **fields: str) -> None:
        """Append an event: through a call that answers, or as a bare entry that is not folded yet."""
        event = {"type": kind, **fields}
        if how == "append":
            self.do(self.ledger.append([text for pair in event.items() for text in pair]))
        else:
            self.do(self.ledger.add(event))

    @initialize(
        accept=st.sampled_from(["10000", "700"]),
        job=st.sampled_from(["0", "3000"]),
        most=st.sampled_from(["5000000", "5000000", "9"]),
    )
    def begin(self, accept: str, job: str, most: str) -> None:
        self.do(self.redis.flushdb())
        self.do(self.ledger.freeze())
        self.tell("append", "scheduler.configured", accept_timeout_ms=accept, job_timeout_ms=job, max_waiting=most)
        for node, pools in zip(NODES[1:], (["en-zh"], ["de-en"], ["de-en-zh", "en-zh"]), strict=True):
            self.join(node, pools)

    @rule(node=nodes, pools=st.lists(st.sampled_from(POOLS), unique=True), how=hows)
    def register(self, node: str, pools: list[str], how: str) -> None:
        names = ",".join(f'{{"name":"{pool}"}}' for pool in pools)
        self.tell(how, "node.registered", node_id=node, cap_json="{}", pool_names_json=f"[{names}]")

    @rule(node=nodes, pools=st.lists(st.sampled_from(POOLS), unique=True, min_size=1))
    def join(self, node: str, pools: list[str]) -> None:
        self.register(node, pools, "append")
        self.tell("append", "node.heartbeat", node_id=node, online="true")

    @rule(
        node=nodes, stream=st.sampled_from(["events", "heartbeats"]), accepting=st.sampled_from(["", "true", "false"])
    )
    def beat(self, node: str, stream: str, accepting: str) -> None:
        more = {"accepting": accepting} if accepting else {}
        self.do(self.ledger.add({"type": "node.heartbeat", "node_id": node, "online": "true", **more}, stream))

    @rule(
        node=nodes,
        change=st.sampled_from(["offline", "cordoned", "uncordoned", "drained"]),
        how=hows,
        request=st.sampled_from(["", "r1", "r2"]),
    )
    def operate(self, node: str, change: str, how: str, request: str) -> None:
        """An operator acts, or repeats it for lack of an answer."""
        self.tell(how, f"node.{change}", node_id=node, **({"request_id": request} if request else {}))

    @rule(
        pair=st.sampled_from(PAIRS),
        session=st.sampled_from(["s1", "s2", "s3"]),
        how=hows,
        more=st.sampled_from(EXTRAS),
        count=st.integers(1, 4),
        deadline_in=st.sampled_from([0, 0, 2_000]),
        not_before_in=st.sampled_from([0, 0, 1_000]),
    )
    def submit(
        self,
        pair: tuple[str, str],
        session: str,
        how: str,
        more: dict[str, str],
        count: int,
        deadline_in: int,
        not_before_in: int,
    ) -> None:
        now = self.do(self.ledger.now())
        times = {"deadline_ts": str(now + deadline_in)} if deadline_in else {}
        times |= {"not_before_ts": str(now + not_before_in)} if not_before_in else {}
        for _ in range(count):
            fields = {"job_id": f"j{len(self.submitted)}", "session_id": session, "src_lang": pair[0]}
            fields |= {"tgt_lang": pair[1], "payload_json": "{}", **more, **times}
            self.submitted.append(fields)
            self.tell(how, "job.submitted", **fields)

    @precondition(lambda self: self.submitted)
    @rule(which=few, how=hows, changed=st.booleans())
    def submit_again(self, which: int, how: str, changed: bool) -> None:
        fields = self.submitted[which % len(self.submitted)]
        self.tell(how, "job.submitted", **fields | ({"payload_json": "[]"} if changed else {}))

    def read_inbox(self, node: str) -> None:
        entries = self.do(self.redis.xrange(self.keys.inbox(node), min=f"({self.read_to[node]}"))
        for entry_id, fields in entries:
            self.read_to[node] = entry_id
            if fields["type"] == "job.assigned":
                self.in_hand[node].append(fields)

    @rule(
        node=nodes,
        which=few,
        what=st.sampled_from([*["started", "finished"] * 2, *WORDS]),
        how=hows,
        times=st.integers(1, 2),
    )
    def work(self, node: str, which: int, what: str, how: str, times: int) -> None:
        """A node says something of an assignment it read, however old, once or twice."""
        self.read_inbox(node)
        if not self.in_hand[node]:
            return
        assignment = self.in_hand[node][-1 - which % len(self.in_hand[node])]
        fields = {"job_id": assignment["job_id"], "node_id": node, "attempt": assignment["attempt"]}
        kind = {"full": "declined", "finished": "completed", "failed": "completed", "finished unsigned": "completed"}
        if what in ("full", "declined"):
            fields["reason"] = "full" if what == "full" else "not this one"
        elif what == "progressed":
            fields |= {"progress_json": str(which), "request_id": f"r{which}"}
        elif kind.get(what) == "completed":
            fields["status"] = what.split()[0]
            if what == "finished unsigned":
                del fields["attempt"]
        for _ in range(times):
            self.tell(how, f"job.{kind.get(what, what)}", **fields)

    @rule(node=nodes, outcome=st.sampled_from(["", "finished", "failed"]), how=hows)
    def work_off(self, node: str, outcome: str, how: str) -> None:
        """A node starts all that it has just been given, and perhaps ends it."""
        known = len(self.in_hand[node])
        self.read_inbox(node)
        for assignment in self.in_hand[node][known:]:
            fields = {"job_id": assignment["job_id"], "node_id": node, "attempt": assignment["attempt"]}
            self.tell(how, "job.started", **fields)
            if outcome:
                self.tell(how, "job.completed", **fields, status=outcome)

    @rule(node=nodes)
    def node_forgets(self, node: str) -> None:
        self.in_hand[node].clear()

    @precondition(lambda self: self.submitted)
    @rule(which=few, how=hows)
    def cancel(self, which: int, how: str) -> None:
        self.tell(how, "job.cancelled", job_id=self.submitted[which % len(self.submitted)]["job_id"])

    @rule(session=st.sampled_from(["s1", "s2", "s3"]))
    def release(self, session: str) -> None:
        self.tell("xadd", "session.released", session_id=session)

    @rule(what=st.sampled_from([*sorted(facts()), "nonsense", "flush"]), node=nodes)
    def mischief(self, what: str, node: str) -> None:
        """A stranger forges a decision, sends nonsense, or makes the server forget its scripts."""
        if what == "flush":
            self.do(self.redis.script_flush())
        elif what == "nonsense":
            self.do(self.ledger.add({"type": "job.cancelled", "job_id": ""}))
        else:
            self.tell("append", what, **dict.fromkeys(facts()[what], "1") | {"node_id": node, "job_id": "j0"})

    @rule(which=few, what=st.sampled_from(["retried", "retried", "dropped"]), how=hows, times=st.integers(1, 2))
    def see_to_a_letter(self, which: int, what: str, how: str, times: int) -> None:
        """An operator retries a dead letter, or drops it, once or twice."""
        letters = self.do(self.redis.xrevrange(self.keys("dead"), count=8))
        if not letters:
            return
        letter_id, kept = letters[which % len(letters)]
        fields = {name: text for name, text in kept.items() if name not in ("id", "stream", "code", "reason", "type")}
        again = {"kind": kept.get("type", ""), **fields, "retry_of": letter_id}
        for _ in range(times):
            self.tell(how, **again if what == "retried" else {"kind": "letter.dropped", "letter": letter_id})

    @rule(batch=st.sampled_from([1, 2, 3, 5, 256]))
    def call(self, batch: int) -> None:
        """A worker calls once, and dies before it calls again."""
        self.do(script("advance")(self.redis, **self.ledger.given(batch, nonce=str(len(self.submitted)))))

    @rule()
    def catch_up(self) -> None:
        self.do(self.ledger.advance())

    @rule(ms=st.sampled_from([1, 400, 1_000, 5_000, 31_000]))
    def pass_time(self, ms: int) -> None:
        now = self.do(self.ledger.now())
        self.do(self.redis.hset(self.keys("meta"), "last_call_ts", str(now + ms)))

    @rule(ms=st.sampled_from([3_000, 60_000]))
    def nobody_calls_for_a_while(self, ms: int) -> None:
        now = self.do(self.ledger.now())
        last = self.do(self.redis.xinfo_stream(self.keys("events")))["last-generated-id"]
        later = max(now, int(last.split("-")[0])) + ms
        self.do(self.redis.xadd(self.keys("events"), {"type": "session.released", "session_id": "-"}, id=f"{later}-0"))

    @rule()
    def a_call_is_torn_and_a_worker_rebuilds(self) -> None:
        self.do(self.redis.hset(self.keys("meta"), "begin", "1-1"))
        with pytest.raises(PartitionHalted):
            self.do(self.ledger.advance())
        self.do(rebuild(self.redis, self.keys))

    @invariant()
    def the_state_is_of_one_piece(self) -> None:
        state = self.do(self.ledger.state(self.keys))
        jobs = {name[4:]: job for name, job in state.items() if name.startswith("job:")}
        infos = {name[10:]: info for name, info in state.items() if name.startswith("node:info:")}
        holders = {name[10:]: set(held) for name, held in state.items() if name.startswith("node:jobs:")}
        self.held_by_one(jobs, holders)
        self.queued_once(state, jobs)
        self.counted(state, jobs, infos)
        self.open_where_eligible(state, jobs, infos, holders)
        for job_id, job in self.ended.items():
            assert jobs[job_id] == job, "an ended job never changes again"
        self.ended = {job_id: job for job_id, job in jobs.items() if job["status"] in TERMINAL}

    def held_by_one(self, jobs: dict[str, Any], holders: dict[str, set[str]]) -> None:
        by_hash = {(job_id, job["node_id"]) for job_id, job in jobs.items() if job["status"] in HELD}
        by_node = {(job_id, node) for node, held in holders.items() for job_id in held}
        assert by_hash == by_node

    def queued_once(self, state: dict[str, Any], jobs: dict[str, Any]) -> None:
        waiting = {f"{name[8:]}": dict(queue) for name, queue in state.items() if name.startswith("waiting:")}
        timers, deadlines = dict(state.get("timers", [])), dict(state.get("deadlines", []))
        expected: dict[str, dict[str, float]] = {}
        for job_id, job in jobs.items():
            if job["status"] == "created" and job["timer"] == "":
                pair = f"{job['src_lang']}:{job['tgt_lang']}"
                expected.setdefault(pair, {})[job_id] = float(job["order"])
        assert waiting == expected, "each waiting job is in the queue of its pair, and no other job does"
        assert set(timers) == {job_id for job_id, job in jobs.items() if job["timer"]}
        alive = {job_id: job for job_id, job in jobs.items() if job["status"] not in TERMINAL}
        assert deadlines == {j: float(job["deadline_ts"]) for j, job in alive.items() if "deadline_ts" in job}
        heads = {pair: min(queue.values()) for pair, queue in waiting.items()}
        served = {(one, pair) for pair in heads for one in dict(state.get(f"serving:{pair}", []))}
        ready = {one for one, _ in served} & set(state.get("open", []))
        assert dict(state.get("ready", [])) == {r: min(heads[pair] for one, pair in served if one == r) for r in ready}

    def counted(self, state: dict[str, Any], jobs: dict[str, Any], infos: dict[str, Any]) -> None:
        counters = Counter({name: int(count) for name, count in state.get("counters", {}).items()})
        by_status = Counter(job["status"] for job in jobs.values())
        assert counters["submitted"] == len(jobs)
        assert counters["waiting"] == by_status["created"]
        assert counters["held"] == by_status["dispatched"] + by_status["running"]
        for status in TERMINAL:
            assert counters[status] == by_status[status]
        assert counters["nodes"] == len(infos) == len(state.get("nodes", []))
        assert len(state.get("ended", [])) == sum(by_status[status] for status in TERMINAL)

    def open_where_eligible(
        self, state: dict[str, Any], jobs: dict[str, Any], infos: dict[str, Any], holders: dict[str, set[str]]
    ) -> None:
        online: dict[str, set[str]] = {}
        for node, info in infos.items():
            held = holders.get(node, set())
            unread = [j for j in held if jobs[j]["status"] == "dispatched" and jobs[j].get("deliver") != "false"]
            assert int(info["pending"]) == len(unread)
            eligible = (
                (info["online"], info["accepting"], info["cordoned"]) == ("true", "true", "false")
                and len(unread) < min(int(info.get("room", info["window"])), 256)
                and len(held) < int(info.get("full_at", len(held) + 1))
            )
            assert info["open"] == ("true" if eligible else "false")
            for pool in info["pools"].split():
                assert node in state[f"pool:{pool}:members"]
                if eligible:
                    online.setdefault(pool, set()).add(node)
        lost = {node for node, held in holders.items() if held and infos[node]["online"] == "false"}
        assert set(state.get("lost", [])) == lost
        for pool in state.get("pools", []):
            assert set(state.get(f"pool:{pool}:online", [])) == online.get(pool, set())
        for src, tgt in PAIRS:
            serving = [pool for pool in state.get("pools", []) if {src, tgt} <= set(pool.split("-"))]
            sets = {" ".join(sorted(pool.split("-"))) for pool in serving}
            assert dict(state.get(f"serving:{src}:{tgt}", [])) == dict.fromkeys(sets, 0)
            assert sorted(pool for one in sets for pool in state[f"set:{one}:pools"]) == sorted(serving)
            able = [pool for one in sets for pool in state.get(f"set:{one}:open", [])]
            assert sorted(able) == sorted(pool for pool in serving if pool in online)

    async def look_back(self) -> None:
        """At the end: everything was folded once, and the log tells the same story as the state."""
        await self.ledger.advance()
        about = await self.redis.xinfo_stream(self.keys("events"))
        meta = await self.ledger.hash("meta")
        assert int(meta["folded"]) == about["entries-added"] == about["length"]
        assert meta.get("begin") == meta.get("done")
        log = dict(await self.redis.xrange(self.keys("events")))
        buried = [letter["id"] for letter in await self.ledger.dead() if letter["stream"] == "events"]
        assert len(buried) == len(set(buried))
        reported = Counter(fields["job_id"] for fields in (await self.replies()))
        assert not [job_id for job_id, times in reported.items() if times > 1], "an outcome is sent once"
        starts: dict[str, int] = Counter()
        for entry_id, fields in log.items():
            if entry_id not in buried and fields["type"] in facts():
                assert fields.keys() <= {"type", *facts()[fields["type"]]}
            if entry_id not in buried and fields["type"] == "job.dispatched":
                starts[f"{entry_id}-{fields['nonce']}"] += 1
        assert all(times == 1 for times in starts.values()), "no two attempts share a token"
        await self.ledger.check()

    async def replies(self) -> list[dict[str, str]]:
        return [fields for _, fields in await self.redis.xrange(self.keys.reply("me"))]

    def teardown(self) -> None:
        try:
            if self.do(self.redis.exists(self.keys("events"))):
                self.do(self.look_back())
        finally:
            self.do(self.redis.flushdb())
            self.do(self.redis.aclose())
            self.runner.close()


EXPLORE = int(os.environ.get("STREAMSCHED_EXPLORE", 0))


def test_any_order_of_events_calls_and_crashes_keeps_the_invariants(server: EmbeddedServer) -> None:
    class OnThisServer(Partition):
        pass

    OnThisServer.server = server
    run_state_machine_as_test(
        OnThisServer,
        settings=settings(
            max_examples=EXPLORE or 30,
            stateful_step_count=60,
            derandomize=not EXPLORE,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
