"""``/metrics`` as a server on an address, while a block lasts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import accumulate

import anyio
import anyio.to_thread
import structlog
from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import Metric as Family
from prometheus_client.registry import Collector
from redis.exceptions import RedisError

from ..connect.background import background_task
from ..contract.errors import SchedulerError
from ..contract.keys import Keys
from ..sanitize import one_line
from ..version import __version__
from .catalogue import BY_NAME, PARTITION
from .follower import Follower
from .stages import BOUNDS_S
from .state_metrics import Sample, of_nodes, read

log = structlog.get_logger(__name__)

ANSWER_S = 5.0
"""How long a scrape waits for the server: half of Prometheus' scrape timeout."""


class Exporter(Collector):
    """Answers each scrape with the present state, and with the counts from the log.

    Args:
        follower: what follows the log.
        loop: the event loop that the follower lives in; a scrape has a thread of its own.
    """

    def __init__(self, follower: Follower, loop: asyncio.AbstractEventLoop) -> None:
        self._follower, self._loop = follower, loop
        self._labels = follower.keys.namespace, str(follower.keys.partition)

    def collect(self) -> Iterator[Family]:
        """Yield every metric that has a value; called in a thread of its own."""
        families: dict[str, Family] = {}
        for name, value, labels in asyncio.run_coroutine_threadsafe(self._samples(), self._loop).result():
            suffix = next((end for end in ("_bucket", "_sum", "_count") if name.endswith(end)), "")
            metric = BY_NAME[name.removesuffix(suffix)]
            known = families.setdefault(metric.name, Family(metric.name, metric.help, metric.kind))
            # _sum and _count lack the last label, that of the quantile or bucket, where it is not one of the metric's
            names = metric.labels + (("le",) if suffix == "_bucket" else ())
            sample_labels = dict(zip(PARTITION + names, (*self._labels, *map(one_line, labels)), strict=False))
            known.add_sample(f"{metric.name}{'_total' if metric.kind == 'counter' else suffix}", sample_labels, value)
        yield from families.values()

    async def _samples(self) -> list[Sample]:
        samples = [Sample("exporter_info", 1, (__version__,)), *self._followed()]
        try:
            with anyio.fail_after(ANSWER_S):
                of_state = await read(self._follower.redis, self._follower.keys, list(self._follower.pairs))
        except (RedisError, OSError, SchedulerError) as problem:  # OSError: the time is over
            log.warning("nothing was read for a scrape", problem=str(problem) or "no answer in time")
            return [*samples, Sample("server_up", 0)]
        if self._follower.begun:
            samples += of_nodes(self._follower.nodes)
        return [*samples, *of_state, Sample("server_up", 1)]

    def _followed(self) -> Iterator[Sample]:
        follower = self._follower
        for kind, count in follower.events.items():
            yield Sample("events_folded", count, (kind,))
        for kind, count in follower.decisions.items():
            yield Sample("decisions", count, (kind,))
        bounds = [*(str(float(bound)) for bound in BOUNDS_S), "+Inf"]
        for stage, took in follower.stages.took.items():
            up_to = list(accumulate(took.counts))
            for bound, count in zip(bounds, up_to, strict=True):
                yield Sample("job_stage_seconds_bucket", count, (stage, bound))
            yield Sample("job_stage_seconds_sum", took.sum_s, (stage,))
            yield Sample("job_stage_seconds_count", up_to[-1], (stage,))
        yield Sample("exporter_unread_events", follower.unread)
        yield Sample("exporter_skipped_events", follower.skipped)


@asynccontextmanager
async def serving(url: str, keys: Keys, host: str, port: int) -> AsyncIterator[int]:
    """Serve the metrics of a partition while the block lasts; yields the port.

    Args:
        url: its server, which may be away.
        keys: the partition.
        host, port: where it answers; port 0 takes a free one.

    Raises:
        OSError: the port is in use, or the address does not belong to this machine.
    """
    follower = Follower(url, keys)
    registry = CollectorRegistry()
    registry.register(Exporter(follower, asyncio.get_running_loop()))
    server, _ = start_http_server(port, host, registry)
    try:
        async with background_task("log follower", follower.run):
            yield server.server_port
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(server.shutdown)
            await anyio.to_thread.run_sync(server.server_close)
            await follower.close()
