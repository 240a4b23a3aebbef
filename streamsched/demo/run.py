"""Runs the demo from its first process to its verdict."""

from __future__ import annotations

import signal
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path

import anyio
import anyio.to_thread
import msgspec

from ..client.scheduler import Scheduler
from ..connect.background import background_task
from ..contract.events import SchedulerConfigured
from ..contract.keys import Keys
from ..replay.rebuild import refold
from ..replay.values import difference, read_state
from ..server.embedded import EmbeddedServer
from ..workload.fleet import NodePlan, plan_fleet
from ..workload.generator import PAIRS, Request, arrivals, requests
from ..workload.traces import Churn, Pair, read_arrivals, read_churn, read_pairs
from .faults import Faults, Targets
from .processes import Processes
from .producer import Producer
from .report import DemoReport, judged
from .screen import Screen, open_screen
from .watch import Watch

NAMESPACE = "scheduler"
NODES, HOSTS, WORKERS = 40, 8, 3
PAIRS_SERVED = 20
"""Of a file of pairs, the most popular ones are served; a fleet of forty cannot hold thousands."""

MOST_SPOT = 40
"""Spot machines that may run at the same time beside the fleet."""

START_S, DRAIN_S = 20.0, 15.0
"""How long nodes may take to come online, and jobs to end once no more arrive."""

CONFIGURATION = SchedulerConfigured(heartbeat_timeout_ms=3000, accept_timeout_ms=2000, retry_backoff_ms=200)
"""Ten times shorter than the defaults, because the demo is."""


class DemoOptions(msgspec.Struct, kw_only=True, frozen=True):
    """What a demo is to be like.

    Raises:
        ValueError: a number is out of its range.
    """

    seconds: float = 25.0
    """How long jobs arrive; start, drain and check come on top, 10 s as a rule and 35 s at most. At least 5."""
    speed: float = 20.0
    """How many times faster than the workload's own time; arrivals and work are both scaled."""
    seed: int = 0
    """The same work, fleet and incidents for the same seed."""
    json: bool = False
    """Show nothing while it runs, and print the report as JSON."""
    trace: Path | None = None
    """Take the arrivals from this Mooncake or Azure trace; by default from the generator."""
    pairs: Path | None = None
    """Take the language pairs from these OPUS counts; by default the 20 most popular ones are built in."""
    churn: Path | None = None
    """Let spot machines come and go as in this Bamboo trace, the whole of it laid over ``seconds``."""

    def __post_init__(self) -> None:
        if not 5 <= self.seconds <= 86_400:
            raise ValueError(f"seconds is {self.seconds:g}: give 5 to 86400")
        if not 0 < self.speed <= 10_000:
            raise ValueError(f"speed is {self.speed:g}: give more than 0, and 10000 at most")


class DemoFailed(RuntimeError):
    """The demo could not be carried through; the text holds the last words of its processes."""


class Script(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be played: read and planned before the first process starts, so that a bad file costs no time."""

    requests: Iterator[Request]
    pairs: Sequence[Pair]
    fleet: Sequence[NodePlan]
    churn: Sequence[Churn]
    arrivals_from: str
    pairs_from: str
    churn_from: str | None


def write_script(options: DemoOptions) -> Script:
    """Read the files that were given and plan the rest.

    Raises:
        TraceError: a file cannot be read; the text names the line and the remedy.
    """
    arrivals_from = f"generator after Mooncake and Azure LLM 2023, seed {options.seed}"
    pairs: Sequence[Pair] = PAIRS
    pairs_from = f"the {len(PAIRS)} most translated of OPUS wikimedia"
    churn: list[Churn] = []
    if options.trace:
        arrivals_from = options.trace.name
    if options.pairs:
        counts = read_pairs(options.pairs)
        pairs = counts.pairs[:PAIRS_SERVED]
        share = sum(pair.weight for pair in pairs) / sum(pair.weight for pair in counts.pairs)
        pairs_from = (
            f"{len(pairs)} of {len(counts.pairs):,} counted in {options.pairs.name}, "
            f"{share:.1%} of the counts ({counts.uncounted} without a count)"
        )
    if options.churn:
        churn = read_churn(options.churn)
    source = arrivals(options.seed)
    if options.trace:
        until_ms = options.seconds * options.speed * 1000
        source = iter(list(takewhile(lambda arrival: arrival.at_ms < until_ms, read_arrivals(options.trace))))
    return Script(
        requests=requests(source, pairs, options.seed),
        pairs=pairs,
        fleet=plan_fleet(pairs, NODES, options.seed),
        churn=churn,
        arrivals_from=f"{arrivals_from}, {options.speed:g} times faster",
        pairs_from=f"{pairs_from}; joining them to the arrivals is our construction",
        churn_from=f"{options.churn.name}, {len(churn)} changes laid over the run" if options.churn else None,
    )


async def run_demo(options: DemoOptions) -> DemoReport:
    """Play the demo and judge it. All its processes have ended when this returns or raises.

    Raises:
        TraceError: a file that was given cannot be read.
        ServerDidNotStart: the embedded server did not come up.
        DemoFailed: the nodes did not come online; the text holds the last words of the processes.
    """
    script = write_script(options)
    with (
        _terminated_as_interrupted(),
        tempfile.TemporaryDirectory(prefix="streamsched-demo-") as folder,
        EmbeddedServer(Path(folder) / "server", append_only=True) as server,
        Processes(server.url, NAMESPACE, Path(folder)) as crew,
        open_screen(options.json) as screen,
    ):
        async with Scheduler.connect(server.url, NAMESPACE) as scheduler:
            return await _play(options, script, scheduler, crew, screen)


async def _play(
    options: DemoOptions, script: Script, scheduler: Scheduler, crew: Processes, screen: Screen
) -> DemoReport:
    redis, keys = scheduler.partition.redis, scheduler.partition.keys
    trouble = Faults(crew, Targets(script.fleet, HOSTS), lambda text: watch.say(text))
    watch = Watch(redis, keys, trouble, script.pairs, screen)
    producer = Producer(scheduler, options.speed)
    await scheduler.append(CONFIGURATION)
    trouble.start_workers(WORKERS)
    trouble.start_hosts()
    async with background_task("watch", watch.look_on):
        await _all_online(watch, crew, script.fleet)
        watch.say(f"{NODES} nodes in {HOSTS} processes are online; jobs arrive for {options.seconds:g} s")
        await _arrivals(options, script, producer, trouble, watch)
        watch.phase = lambda: "leaving"
        # the producer has every outcome, or has given up; no process may write while the log is folded again
        await anyio.to_thread.run_sync(crew.end, trouble.hosts)
        while (await scheduler.partition.advance()).more:
            pass
        await anyio.to_thread.run_sync(crew.end, trouble.workers)
    await watch.tally.read(redis, keys)
    differing = await _refolded(scheduler)
    unended = [job for job in watch.tally.submitted if job not in watch.tally.outcomes]
    statuses = {job: str(await redis.hget(keys.job(job), "status")) for job in unended}
    return msgspec.convert(
        {
            "arrivals": script.arrivals_from,
            "pairs": script.pairs_from,
            "churn": script.churn_from,
            "seconds": options.seconds,
            "speed": options.speed,
            "seed": options.seed,
            "wall_s": round(watch.elapsed_s, 1),
            "nodes": NODES,
            "node_processes": HOSTS,
            "worker_processes": WORKERS,
            "incidents": watch.incidents,
            "differing": differing,
            **judged(watch.tally, producer.journal, statuses),
        },
        DemoReport,
    )


async def _all_online(watch: Watch, crew: Processes, fleet: Sequence[NodePlan]) -> None:
    """Wait until every node of the fleet is online."""
    deadline = time.monotonic() + START_S
    while (online := await watch.online(fleet)) < len(fleet):
        if time.monotonic() > deadline or not all(child.alive for child in crew.children):
            raise DemoFailed(f"{online} of {len(fleet)} nodes came online\n{crew.last_words()}")
        await anyio.sleep(0.05)


async def _arrivals(options: DemoOptions, script: Script, producer: Producer, trouble: Faults, watch: Watch) -> None:
    """Let jobs arrive and things go wrong; return when all jobs have ended, or have had :data:`DRAIN_S` to do so."""
    ends_at = anyio.current_time() + options.seconds
    watch.phase = lambda: (
        f"jobs arrive for another {left:.0f} s"
        if (left := ends_at - anyio.current_time()) > 0
        else f"{producer.under_way} jobs left"
    )
    spare = [
        NodePlan(node_id=f"spot{n:02}", gpu=plan.gpu, gpus=plan.gpus, pairs=plan.pairs)
        for n, plan in enumerate(plan_fleet(script.pairs, MOST_SPOT, options.seed + 1), 1)
    ]
    with anyio.move_on_after(options.seconds + DRAIN_S):
        async with anyio.create_task_group() as group:
            group.start_soon(producer.submit_all, script.requests, options.seconds)
            group.start_soon(trouble.play, options.seconds)
            if script.churn:
                group.start_soon(trouble.churn, script.churn, spare, options.seconds)


async def _refolded(scheduler: Scheduler) -> list[str]:
    """Fold the log from its first entry into a scratch namespace; return the keys at which the state differs."""
    redis, keys = scheduler.partition.redis, scheduler.partition.keys
    scratch = Keys(f"{keys.namespace}-refold", keys.partition)
    live = await read_state(redis, keys)
    await refold(redis, keys, scratch)
    return list(difference(live, await read_state(redis, scratch)))


@contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """Treat SIGTERM as Ctrl-C, so that the children are ended and the folder goes."""

    def interrupt(signum: int, frame: object) -> None:
        signal.raise_signal(signal.SIGINT)

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
