"""Notices when heartbeats come too far apart: the scheduler would take the node for lost, and run its jobs twice."""

from __future__ import annotations

import time

import structlog
from redis.exceptions import RedisError

from ..contract.config import DEFAULTS
from ..contract.errors import SchedulerError
from ..engine.partition import Partition

log = structlog.get_logger(__name__)

ASK_S = 60.0
"""Seconds between two looks at ``heartbeat_timeout_ms``, which an operator may change."""


class Rhythm:
    """The time between the heartbeats of one node, and how much the scheduler allows.

    Args:
        partition: the partition whose configuration holds.
        node_id: for the log.
        interval_s: between two beats, as the node is configured.
    """

    def __init__(self, partition: Partition, node_id: str, interval_s: float) -> None:
        self._partition, self._node_id, self._interval_s = partition, node_id, interval_s
        self._timeout_s = int(DEFAULTS["heartbeat_timeout_ms"]) / 1000
        self._asked_s, self._began_s = time.monotonic() - ASK_S, time.monotonic()
        self._blocked = self._too_slow = ""

    @property
    def trouble(self) -> str:
        """What is wrong with the time between beats; empty if nothing is. Part of the next beat."""
        return self._blocked or self._too_slow

    def begin(self) -> None:
        """Note that the node waits for its next beat from now on."""
        self._began_s = time.monotonic()

    def end(self) -> None:
        """Note that the wait is over, and tell how long the event loop was blocked meanwhile."""
        blocked_s = time.monotonic() - self._began_s - self._interval_s
        self._blocked = ""
        if 0 < self._timeout_s / 3 < blocked_s:
            self._blocked = (
                f"the event loop was blocked for {blocked_s:.1f} s, and no heartbeat was sent: a handler must not "
                "block it; await what waits, and run what computes in a thread, as by asyncio.to_thread"
            )
            log.error("heartbeats were late", node_id=self._node_id, problem=self._blocked)

    async def compare(self) -> None:
        """Compare the interval with ``heartbeat_timeout_ms``, once a minute. A source may not read it."""
        if self._partition.source is not None or time.monotonic() - self._asked_s < ASK_S:
            return
        self._asked_s = time.monotonic()
        key = self._partition.keys("config")
        try:
            (found,) = await self._partition.read_state(lambda pipe: pipe.hget(key, "heartbeat_timeout_ms"))
        except (SchedulerError, RedisError, OSError) as problem:
            log.debug("heartbeat_timeout_ms was not read", node_id=self._node_id, problem=str(problem))
            return
        self._timeout_s = int(found or DEFAULTS["heartbeat_timeout_ms"]) / 1000
        was, self._too_slow = self._too_slow, ""
        if 0 < self._timeout_s <= self._interval_s:
            self._too_slow = (
                f"it sends a heartbeat every {self._interval_s:g} s, and the scheduler waits {self._timeout_s:g} s "
                "(heartbeat_timeout_ms) before it takes the node for lost: beat more often, or raise it"
            )
            if was != self._too_slow:
                log.error("heartbeats are too rare", node_id=self._node_id, problem=self._too_slow)
