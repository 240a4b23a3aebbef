"""Compares the time between heartbeats with what the scheduler allows, before it takes the node for lost."""

from __future__ import annotations

import time

import structlog
from redis.exceptions import RedisError

from ...contract.config import DEFAULTS
from ...contract.errors import SchedulerError
from ...engine.partition import Partition

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
        self._asked_s = time.monotonic() - ASK_S
        self.trouble = ""
        """What is wrong with the time between beats; empty if nothing is. Part of the next beat."""

    @property
    def allowed_s(self) -> float:
        """How long the event loop may be silent before it counts as blocked: a third of ``heartbeat_timeout_ms``. Where
        nodes are never taken for lost, a third of its default: a blocked node keeps new jobs waiting all the same."""
        return (self._timeout_s or int(DEFAULTS["heartbeat_timeout_ms"]) / 1000) / 3

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
        was, self.trouble = self.trouble, ""
        if 0 < self._timeout_s <= self._interval_s:
            self.trouble = (
                f"it sends a heartbeat every {self._interval_s:g} s, and the scheduler waits {self._timeout_s:g} s "
                "(heartbeat_timeout_ms) before it takes the node for lost: beat more often, or raise it"
            )
            if was != self.trouble:
                log.error("heartbeats are too rare", node_id=self._node_id, problem=self.trouble)
