"""Who is compared: what each is made of, what it does not do, and what a crash of a worker would lose."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

OURS = "streamsched"
NO_NODES = "no choice of a node, no log"


@dataclass(frozen=True)
class Peer:
    """One row of the comparison."""

    name: str
    program: str
    """Its adapter, in ``adapters/``."""
    packages: tuple[str, ...] = ()
    """What is installed for it, of PyPI or npm; nothing for what runs in this program's own environment."""
    lacks: str = NO_NODES
    """What it does not do that streamsched does."""
    loses: str = ""
    """What is lost when a worker is killed, or how it comes back."""
    setting: str = ""
    """What was tuned, so that it is seen at its best."""
    python: tuple[int, int] = (3, 11)
    """The oldest Python it runs on."""
    results: bool = True
    """Whether an outcome can be waited for."""
    optional_results: bool = True
    """Whether it can do without keeping results, which makes it faster."""
    held: int = 500
    """How many jobs one process can hold at a time; 0: not more than one."""
    most: int = 100_000
    """The longest backlog it is given: one that drains a few hundred jobs a second would take all evening."""
    baseline: bool = False
    """Not a product: a floor, or what is written by hand."""
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def ours(self) -> bool:
        return self.program == "ours.py"

    @property
    def node(self) -> bool:
        """Whether it runs on Node.js."""
        return self.program.endswith(".mjs")

    @property
    def pure_python(self) -> bool:
        """Whether its worker's loop is Python, and it is a product."""
        return not (self.ours or self.node or self.baseline or self.name in ("ardiq", "chasquimq"))

    @property
    def folder(self) -> str:
        """Where it is installed."""
        return re.sub(r"\W+", "-", self.name.lower()).strip("-")


WAITS = "nothing: its jobs go to another node once its heartbeat is missed"
CLAIMS = "nothing: pending entries are claimed by another worker after a timeout"
LOCKS = "nothing: a stalled job is found by its expired lock"
UVLOOP = "256 tasks, uvloop"

PEERS = (
    Peer(OURS, "ours.py", lacks="", loses=WAITS, setting="concurrency 256", optional_results=False),
    Peer(
        f"{OURS} quiet",
        "ours.py",
        lacks="results are looked up, not sent",
        loses=WAITS,
        setting="submit(reply=False)",
        results=False,
        optional_results=False,
        environment={"VARIANT": "quiet"},
    ),
    Peer(
        f"{OURS} xadd",
        "ours.py",
        lacks="no answer to the producer",
        loses=WAITS,
        setting="bare XADD, a worker in the node's process",
        results=False,
        optional_results=False,
        environment={"VARIANT": "xadd"},
    ),
    Peer("BullMQ (Node.js)", "queues/bullmq_node.mjs", ("bullmq", "ioredis"), loses=LOCKS, setting="concurrency 256"),
    Peer(
        "BullMQ (Python)",
        "queues/bullmq_python.py",
        ("bullmq", "hiredis", "uvloop"),
        loses=LOCKS,
        setting="concurrency 8, uvloop",
    ),
    Peer("ardiq", "queues/ardiq_.py", ("ardiq",), loses=CLAIMS, setting="256 tasks, prefetch 512", python=(3, 12)),
    Peer("chasquimq", "queues/chasquimq_.py", ("chasquimq", "uvloop"), loses=CLAIMS, setting=UVLOOP),
    Peer(
        "taskiq streams",
        "queues/taskiq_.py",
        ("taskiq-redis", "hiredis", "uvloop"),
        lacks=f"{NO_NODES}; the stream is never trimmed",
        loses=CLAIMS,
        setting=UVLOOP,
    ),
    Peer(
        "dramatiq",
        "queues/dramatiq_.py",
        ("dramatiq[redis]", "hiredis"),
        loses="nothing: unacknowledged messages go back after a missed heartbeat",
        setting="8 threads",
    ),
    Peer("streaq", "queues/streaq_.py", ("streaq", "uvloop"), loses=CLAIMS, setting=UVLOOP),
    Peer(
        "saq",
        "queues/saq_.py",
        ("saq[redis]", "typing_extensions", "hiredis", "uvloop"),
        loses="nothing: active jobs are swept",
        setting="10 tasks, uvloop",
    ),
    Peer(
        "arq",
        "queues/arq_.py",
        ("arq", "hiredis", "uvloop"),
        loses="nothing: in-progress keys run out, then it runs again",
        setting="256 jobs, poll 5 ms, uvloop",
    ),
    Peer(
        "docket",
        "queues/docket_.py",
        ("pydocket", "hiredis", "uvloop"),
        loses=CLAIMS,
        setting="50 tasks, check 5 ms, uvloop",
        held=50,
    ),
    Peer(
        "celery",
        "queues/celery_.py",
        ("celery[redis]", "hiredis"),
        loses="what runs: acknowledged early by default; with acks_late nothing",
        setting="8 threads, prefetch 128, no events",
    ),
    Peer(
        "rq",
        "queues/rq_.py",
        ("rq", "hiredis"),
        loses="nothing: abandoned jobs are found by their registry",
        setting="SimpleWorker; a backlog of 4,000",
        held=0,
        most=4_000,
    ),
    Peer(
        "huey",
        "queues/huey_.py",
        ("huey", "redis", "hiredis"),
        loses="the job that runs: it was popped",
        setting="1 thread",
    ),
    Peer(
        "raw floor",
        "raw.py",
        lacks=f"{NO_NODES}, no results, no retries",
        loses="pending entries stay: no worker claims them",
        setting="batches of 500",
        optional_results=False,
        baseline=True,
    ),
    Peer(
        "direct Lua",
        "direct.py",
        lacks="walks the pool; no waiting, no log, no retries",
        loses="the jobs of a dead node",
        setting="batches of 500",
        optional_results=False,
        baseline=True,
    ),
)
