"""Those who may not append to the log: each speaks through an ingress stream of its own, truly or not."""

from __future__ import annotations

from collections.abc import Sequence

from redis.exceptions import RedisError, ResponseError

from ...model.state import HELD
from ..world import Event, World
from .nodes import Node
from .producers import Producer
from .speaker import Speaker


class Behind(Speaker):
    """An actor that stands behind an ingress: all it can do is to add to its stream."""

    source = ""

    def send(self, events: Sequence[Event], raw: bool, stream: str) -> None:
        """Append it once; there is no answer."""
        replied = ", ".join(" ".join(event.values()) for event in events)
        self.world.note(f"{self.source} says {replied}")
        for n, event in enumerate(events):
            try:
                self.world.speak(self.source, event)
            except RedisError as problem:
                self.world.note(f"    no answer: {problem}")
                if isinstance(problem, ResponseError) or self.may_repeat(events[n:]):
                    self.unsure.append((list(events[n:]), raw, stream))
                return

    def pretend(self) -> None:
        """Write for another: another node, another's job, another source."""
        rng = self.world.rng
        jobs = self.world.checker.model.partition.jobs
        held = [job_id for job_id, job in jobs.items() if job.status in HELD]
        job = rng.choice(held or list(jobs) or ["j0"])
        node = (held and jobs[job].node_id) or f"n{rng.randrange(self.world.profile.nodes)}"
        about = {"job_id": job, "node_id": node}
        words: list[Event] = [
            {"type": "node.heartbeat", "node_id": node, "online": "true"},
            {"type": "node.offline", "node_id": node},
            {"type": "job.started", **about},
            {"type": "job.completed", **about, "status": "finished"},
            {"type": "job.cancelled", "job_id": job},
            {"type": "node.cordoned", "node_id": node},
            {"type": "session.released", "session_id": "s0", "source": "flood", "source_id": "9-9"},
        ]
        self.say([rng.choice(words)])


class NodeBehind(Behind, Node):
    """A node that is not trusted with the log."""

    def __init__(self, world: World, name: str) -> None:
        super().__init__(world, name)
        self.source = f"of-{name}"


class ProducerBehind(Behind, Producer):
    """A producer that is not trusted with the log, either modest or a flood."""

    def __init__(self, world: World, name: str) -> None:
        super().__init__(world)
        self.name = self.source = name

    def intent(self, n: int) -> str:
        return f"{self.source}{n}"

    def brick(self) -> None:
        """Choose an id behind which there is no room."""
        ahead = f"{9 * 10**13 + self.world.rng.getrandbits(30)}-0"
        self.world.note(f"{self.source} chooses an id far ahead")
        try:
            self.world.speak(self.source, {"type": "session.released", "session_id": "s0"}, ahead)
        except RedisError as problem:
            self.world.note(f"    {problem}")

    def flood(self) -> None:
        """Much more at once than the backlog that it was admitted with."""
        self.say([self.job(*self.pairs[0], {}) for _ in range(self.world.rng.choice([5, 15]))])
