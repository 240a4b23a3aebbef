"""Reports at intervals that a node is alive, whether it takes jobs, and what is wrong with it.

The heart beats in a thread of its own: a handler that blocks the node's event loop would make the scheduler take the
node for lost, and run its jobs a second time elsewhere.
"""

from __future__ import annotations

import asyncio
from functools import partial

import anyio
import msgspec
import structlog
from redis.exceptions import RedisError

from ...connect.background import supervise
from ...contract.errors import InvalidField, NodeSuperseded, SchedulerError, UnknownNode
from ...contract.events import NodeHeartbeat, NodeRegistered
from ...engine.partition import Partition
from ..held import Held
from .answering import Answering
from .condition import Condition
from .rhythm import Rhythm

log = structlog.get_logger(__name__)

CORRECTIONS = 3
"""How often a beat is followed at once by another, while the node's room changes meanwhile."""


class Heartbeat:
    """The heartbeat of one node. Made in the node's event loop.

    Args:
        held: what the node has.
        condition: says how the node is.
        registration: is sent again when the scheduler does not know the node any more.
        interval_s: between two beats.
        longest_s: a beat that takes longer is given up.
    """

    def __init__(
        self, held: Held, condition: Condition, registration: NodeRegistered, interval_s: float, longest_s: float
    ) -> None:
        self._held, self._condition, self._registration = held, condition, registration
        self._interval_s, self._longest_s = interval_s, longest_s
        self._node_id = held.reports.node_id
        self._answering = Answering(self._node_id, condition.beat)
        self._tried = asyncio.Event()

    async def keep_beating(self) -> None:
        """Beat until cancelled, or until another process is the node."""
        await self._held.reports.scheduler.own_loop.run(
            lambda partition: supervise("heartbeat", partial(self._beat_at_intervals, partition))
        )

    def note_failure(self, problem: str) -> None:
        """Note that the thread could not begin to beat; :meth:`first` waits no longer."""
        self._tried.set()

    async def first(self) -> None:
        """Wait until the first beat was sent, or could not be."""
        await self._tried.wait()

    async def _beat_at_intervals(self, partition: Partition) -> None:
        rhythm = Rhythm(partition, self._node_id, self._interval_s)
        try:
            while not self._held.reports.superseded_by and not self._answering.is_over:
                try:
                    await self._beat(partition, rhythm)
                except NodeSuperseded as problem:
                    self._answering.call(self._held.superseded, problem.detail)
                    return
                except (SchedulerError, RedisError, OSError) as problem:
                    log.warning("heartbeat failed", node_id=self._node_id, problem=str(problem))
                finally:
                    self._answering.call(self._tried.set)
                await anyio.sleep(self._interval_s)
        finally:
            self._answering.close()

    async def _beat(self, partition: Partition, rhythm: Rhythm) -> None:
        """Send one beat; register again if the scheduler does not know this node.

        Raises:
            SchedulerError, RedisError, OSError: it could not be sent within the patience of the partition.
        """
        await rhythm.compare()
        beat = await self._ask(rhythm)
        if rhythm.trouble and not beat.trouble:
            beat = msgspec.structs.replace(beat, trouble=rhythm.trouble)
        # a beat that is cancelled may be sent all the same: it is seen to its end, so that a goodbye comes last
        with anyio.CancelScope(shield=True), anyio.move_on_after(self._longest_s):
            try:
                await self._ask_whether_known(partition)
                await self._append(partition, beat)
            except UnknownNode:
                log.warning(
                    "the scheduler does not know this node: registering again", node_id=self._node_id, **self._remedy
                )
                await partition.append(self._registration)
                await self._append(partition, beat)
            for _ in range(CORRECTIONS):
                # what the node reported meanwhile is older than the beat, whose room would hold
                said, beat = beat.room, await self._ask(rhythm)
                if beat.room in (None, said):
                    break
                await self._append(partition, beat)

    @property
    def _remedy(self) -> dict[str, str]:
        """What to do if it goes on: behind an ingress a registration that is refused is not answered."""
        if self._held.reports.scheduler.partition.source is None:
            return {}
        return {"remedy": "if this goes on, the registration is refused: `streamsched dead list` has the reason"}

    async def _ask(self, rhythm: Rhythm) -> NodeHeartbeat:
        return await self._answering.beat(self._interval_s / 2, rhythm.allowed_s)

    async def _append(self, partition: Partition, beat: NodeHeartbeat) -> None:
        try:
            await partition.append(beat)
        except InvalidField as problem:
            if beat.load_json is None:
                raise
            log.error("load() gave what is no load_json: the beat is sent without it", problem=problem.detail)
            await partition.append(msgspec.structs.replace(beat, load_json=None))

    async def _ask_whether_known(self, partition: Partition) -> None:
        """Ask whether the scheduler knows this node, where no beat is answered.

        Raises:
            UnknownNode: it does not.
        """
        if partition.source is None or not self._condition.is_registered:
            return
        info = partition.keys.node_info(self._node_id)
        (known,) = await partition.read_state(lambda pipe: pipe.exists(info))
        if not known:
            raise UnknownNode(f"node_id {self._node_id}")
