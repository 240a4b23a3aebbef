"""Nodes: they register, beat, read their inbox and work; they go deaf, forget, come back, and speak of what is over."""

from __future__ import annotations

import json

from redis.exceptions import RedisError

from ..world import Event, World
from .speaker import Speaker

POOLS = ["en-zh", "de-en", "de-en-zh"]


class Assigned:
    """A job as the node knows it from its inbox."""

    __slots__ = ("attempt", "job_id", "running")

    def __init__(self, job_id: str, attempt: str) -> None:
        self.job_id, self.attempt, self.running = job_id, attempt, False


class Node(Speaker):
    """One node, and what it remembers."""

    def __init__(self, world: World, name: str) -> None:
        super().__init__(world, name)
        self.hands: dict[str, Assigned] = {}
        self.past: list[Assigned] = []
        self.cursor = "0-0"
        self.deaf = False
        self.life = 1
        """Which process of the node this is."""
        rng = world.rng
        self.pools = rng.sample(POOLS, rng.randint(1, 2))
        self.haste = rng.choice([1, 3, 9])
        """How much it does at a time."""

    def register(self) -> None:
        """Announce itself, sometimes for other pools than before."""
        if self.world.rng.random() < 0.4:
            self.pools = self.world.rng.sample(POOLS, self.world.rng.randint(0, 2))
        names = json.dumps([{"id": name, "name": name} for name in self.pools])
        event = {"type": "node.registered", "node_id": self.name, "cap_json": "{}", "pool_names_json": names}
        self.say([event | self.incarnation(0.8)])

    def incarnation(self, often: float) -> Event:
        """What tells this process of the node from those before."""
        return {"incarnation": f"{self.name}-{self.life}"} if self.world.rng.random() < often else {}

    def join(self) -> None:
        """Register and beat."""
        self.register()
        self.say([self.beat_event("true")], raw=False, stream="heartbeats")

    def beat_event(self, accepting: str = "") -> Event:
        more = {"accepting": accepting} if accepting else {}
        if accepting == "true":
            more |= self.room(["1", "2", "8"])
        return {"type": "node.heartbeat", "node_id": self.name, "online": "true", **more, **self.incarnation(0.3)}

    def room(self, choices: list[str]) -> Event:
        """Say how much more it takes, in half of its lives."""
        return {"room": self.world.rng.choice(choices)} if self.life % 2 else {}

    def beat(self) -> None:
        rng = self.world.rng
        event = self.beat_event(rng.choice(["", "", "", "true", "true", "false"]))
        if rng.random() < 0.05:
            event["online"] = "false"
        if self.life > 1 and rng.random() < 0.05:
            event["incarnation"] = f"{self.name}-{self.life - 1}"
        stream = "heartbeats" if rng.random() < 0.9 else "events"
        self.say([event], raw=True if stream == "events" else None, stream=stream)

    def leave(self) -> None:
        self.say([{"type": "node.offline", "node_id": self.name}])

    def turn_deaf(self) -> None:
        """Beat on without reading the inbox, or read it again."""
        self.deaf = not self.deaf
        self.world.note(f"{self.name} is {'deaf' if self.deaf else 'all ears'}")

    def read(self) -> None:
        """Take what the inbox holds."""
        key = self.world.keys.inbox(self.name)
        try:
            entries = self.world.run(self.world.wire.xrange(key, min=f"({self.cursor}", count=20))
        except RedisError:
            return
        for entry_id, e in entries:
            self.cursor = entry_id
            if e["type"] == "job.assigned":
                self.hands[e["job_id"]] = Assigned(e["job_id"], e["attempt"])
            elif e["type"] == "job.cancelled":
                known = self.hands.get(e["job_id"])
                if known and known.attempt == e["attempt"]:
                    self.past.append(self.hands.pop(e["job_id"]))

    def work(self) -> None:
        """Read, and do the next thing with a few of the jobs in hand."""
        if self.deaf:
            return
        self.read()
        rng = self.world.rng
        events: list[Event] = []
        for job in list(self.hands.values())[: self.haste]:
            events += self.next_words(job, rng.random())
        if events:
            self.say(events)

    def next_words(self, job: Assigned, chance: float) -> list[Event]:
        about = {"job_id": job.job_id, "node_id": self.name, "attempt": job.attempt}
        if not job.running and chance < 0.75:
            job.running = True
            return [{"type": "job.started", **about, **self.room(["0", "1", "8"])}]
        if not job.running:
            self.let_go(job)
            return [{"type": "job.declined", **about, "reason": "full" if chance < 0.88 else "not this one"}]
        if chance < 0.15:
            return [{"type": "job.progressed", **about}]
        self.let_go(job)
        if chance < 0.4:
            return [{"type": "job.completed", **about, "status": "failed", "error": "it broke"}]
        if chance < 0.5:
            del about["attempt"]
        return [{"type": "job.completed", **about, "status": "finished", "result_json": "{}", **self.room(["1", "8"])}]

    def let_go(self, job: Assigned) -> None:
        self.hands.pop(job.job_id, None)
        self.past.append(job)

    def haunt(self) -> None:
        """Speak of an attempt that may be over: late, twice, or against its own word."""
        if not self.past:
            return
        job = self.world.rng.choice(self.past[-6:])
        about = {"job_id": job.job_id, "node_id": self.name, "attempt": job.attempt}
        kind = self.world.rng.choice(["finished", "finished", "failed", "started", "declined"])
        if kind in ("finished", "failed"):
            if self.world.rng.random() < 0.3:
                del about["attempt"]
            self.say([{"type": "job.completed", **about, "status": kind}])
        else:
            self.say([{"type": f"job.{kind}", **about}])

    def meddle(self, other: Node) -> None:
        """Speak of a job that another node holds, with its attempt or without."""
        held = list(other.hands.values())
        if not held or other is self:
            return
        job = self.world.rng.choice(held)
        self.world.mark("word of a stranger")
        about = {"job_id": job.job_id, "node_id": self.name}
        if self.world.rng.random() < 0.5:
            about["attempt"] = job.attempt
        self.say([{"type": "job.completed", **about, "status": "finished"}])

    def restart(self) -> None:
        """Forget everything, come back, and hand back what the scheduler says one holds."""
        self.past += self.hands.values()
        self.hands.clear()
        self.unsure.clear()
        self.deaf = False
        self.life += 1
        world = self.world
        world.starts_over(self.name)
        world.note(f"{self.name} restarts")
        try:
            last = world.run(world.wire.xrevrange(world.keys.inbox(self.name), count=1))
            self.cursor = last[0][0] if last else "0-0"
            self.register()
            self.hand_back()
        except RedisError as problem:
            world.note(f"    not quite: {problem}")
        self.say([self.beat_event("true")], raw=False, stream="heartbeats")

    def hand_back(self) -> None:
        """Decline what this node holds and does not know of."""
        world = self.world
        held = sorted(world.run(world.wire.smembers(world.keys("node_jobs", self.name))))
        for job_id in held:
            attempt, deliver = world.run(world.wire.hmget(world.keys.job(job_id), ("attempt", "deliver")))
            known = self.hands.get(job_id)
            if attempt and deliver != "false" and not (known and known.attempt == attempt):
                world.mark("node restarted with jobs")
                about = {"job_id": job_id, "node_id": self.name, "attempt": attempt}
                self.say([{"type": "job.declined", **about, "reason": "node restarted", "begun": "true"}], raw=False)
