"""Two sources that mean harm: ``python -m tests.campaign.processes.stranger URL NAMESPACE FOLDER NAME SEED``.

They are admitted, and have nothing but their ingress streams: a producer, and a node that takes no jobs. What they
write is no part of what is promised, so there is no journal of it. The process speaks until it is killed.
"""

from __future__ import annotations

import json
import sys
import time
from random import Random
from typing import Any

from redis import Redis
from redis.exceptions import RedisError

from streamsched.contract.keys import Keys

PRODUCER, NODE, NODE_ID = "strange", "stranger", "n99"
PAUSE_S = 0.03
LARGE = "x" * 300_000


class Stranger:
    """Draws what the two say."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.said = 0

    def words(self) -> tuple[str, list[dict[str, str]]]:
        """Return a source and what it says next."""
        self.said += 1
        if self.random.random() < 0.5:
            return PRODUCER, self.random.choice([self.jobs, self.flood, self.lies, self.nonsense])()
        return NODE, self.random.choice([self.squat, self.beats, self.lies, self.nonsense])()

    def jobs(self) -> list[dict[str, str]]:
        """Jobs that no node serves, or that a node of the fleet takes; some are cancelled at once."""
        src, tgt = self.random.choice([("xx", "yy"), ("xx", "yy"), ("en", "zh")])
        about = {"session_id": "s", "src_lang": src, "tgt_lang": tgt, "reply_to": f"r{self.said % 9}"}
        work = json.dumps({"ms": 1, "failing": 0, "ballast": LARGE[: self.random.choice([0, 5_000, 300_000])]})
        job = {"type": "job.submitted", "job_id": f"j{self.said}", "payload_json": work, **about}
        return [job, *([{"type": "job.cancelled", "job_id": f"j{self.said}"}] if self.random.random() < 0.3 else [])]

    def flood(self) -> list[dict[str, str]]:
        return [{"type": "session.released", "session_id": f"s{n}"} for n in range(200)]

    def squat(self) -> list[dict[str, str]]:
        """Pools of its own, and ids and languages that others use."""
        listed = self.random.choice([
            [{"id": f"{NODE}.{self.said}", "name": "xx-zz"}],
            [{"id": "en-zh", "name": "xx-zz"}],
            [{"id": "pool-of-others", "name": "en-zh"}],
        ])  # fmt: skip
        about = {"node_id": NODE_ID, "cap_json": "{}", "pool_names_json": json.dumps(listed)}
        return [{"type": "node.registered", **about}]

    def beats(self) -> list[dict[str, str]]:
        beat = {"type": "node.heartbeat", "node_id": NODE_ID, "online": self.random.choice(["true", "false"])}
        return [beat, {**beat, "accepting": "true"}, {**beat, "accepting": "false", "ballast": LARGE}]

    def lies(self) -> list[dict[str, str]]:
        """Events about what is not its own, and decisions."""
        node_id, job_id = f"n{self.random.randrange(1, 7)}", f"producer1-s{self.random.randrange(20)}"
        return [
            {"type": "node.offline", "node_id": node_id},
            {"type": "job.completed", "job_id": job_id, "node_id": node_id, "status": "finished"},
            {"type": "job.dispatched", "job_id": job_id, "node_id": node_id},
            {"type": "source.admitted", "source": PRODUCER, "role": "producer", "rate": "1000000"},
        ]

    def nonsense(self) -> list[dict[str, str]]:
        odd = [
            self.random.choice(["type", "v", "source", "source_id", "retry_of", "\x00", "x" * 300]) for _ in range(9)
        ]
        said = {name: self.random.choice(["", "1-1", "\udcff", "9" * 40, LARGE, "node.registered"]) for name in odd}
        return [{name: value.encode(errors="surrogateescape").decode("latin-1") for name, value in said.items()}]


def speak(url: str, namespace: str, seed: int) -> None:
    """Say something again and again, whatever the server does."""
    keys, stranger = Keys(namespace), Stranger(seed)
    while True:
        try:
            redis: Any = Redis.from_url(url, socket_timeout=2)
            while True:
                source, words = stranger.words()
                for said in words:
                    redis.xadd(keys("ingress", source), said)
                time.sleep(PAUSE_S)
        except (RedisError, OSError):
            time.sleep(PAUSE_S)


if __name__ == "__main__":
    speak(sys.argv[1], sys.argv[2], int(sys.argv[5]))
