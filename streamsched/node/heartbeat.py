"""Reports at intervals that a node is alive, whether it takes jobs, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Callable

import anyio
import msgspec
import structlog
from redis.exceptions import RedisError

from ..contract.errors import InvalidField, NodeSuperseded, SchedulerError, UnknownNode
from ..contract.events import NodeHeartbeat, NodeRegistered
from .held import Held
from .inbox import Inbox
from .rhythm import Rhythm

log = structlog.get_logger(__name__)


class Heartbeat:
    """The heartbeat of one node.

    Args:
        held: what the node has.
        inbox: where its jobs come from: a node that cannot read it accepts none.
        registration: is sent again when the scheduler does not know the node any more.
        load: returns ``load_json``; ``None`` sends none. What it raises leaves a beat without it.
        interval_s: between two beats.
        longest_s: a beat that takes longer is given up.
    """

    def __init__(
        self,
        held: Held,
        inbox: Inbox,
        registration: NodeRegistered,
        load: Callable[[], str] | None,
        interval_s: float,
        longest_s: float,
    ) -> None:
        self._held, self._inbox, self._registration, self._load = held, inbox, registration, load
        self._interval_s, self._longest_s = interval_s, longest_s
        self._node_id = held.reports.node_id
        self._rhythm = Rhythm(held.reports.scheduler.partition, self._node_id, interval_s)

    async def keep_beating(self) -> None:
        """Beat until cancelled, or until another process is the node."""
        while not self._held.reports.superseded_by:
            self._rhythm.begin()
            await anyio.sleep(self._interval_s)
            self._rhythm.end()
            if self._held.reports.superseded_by:
                return
            try:
                # a beat that is cancelled may be sent all the same: it is seen to its end, so that a goodbye comes last
                with anyio.CancelScope(shield=True), anyio.move_on_after(self._longest_s):
                    await self.beat()
            except NodeSuperseded as problem:
                self._held.superseded(problem.detail)
            except (SchedulerError, RedisError, OSError) as problem:
                log.warning("heartbeat failed", node_id=self._node_id, problem=str(problem))

    async def beat(self) -> None:
        """Send one beat; register again if the scheduler does not know this node.

        Raises:
            SchedulerError, RedisError, OSError: it could not be sent within the patience of the partition.
        """
        load_json = self._loaded()
        await self._rhythm.compare()
        beat = NodeHeartbeat(
            node_id=self._node_id,
            online=True,
            load_json=load_json,
            accepting=self._accepting(),
            room=self._held.room_to_say,
            trouble=self._inbox.trouble or self._rhythm.trouble or None,
            incarnation=self._registration.incarnation,
        )
        try:
            await self._ask_whether_known()
            await self._append(beat)
        except UnknownNode:
            log.warning("the scheduler does not know this node: registering again", node_id=self._node_id)
            await self._held.reports.scheduler.append(self._registration)
            await self._append(beat)

    def _accepting(self) -> bool | None:
        """Only a node that reads its inbox and has room may claim to accept: the claim reopens one that was closed."""
        if self._held.reports.leaving or self._inbox.trouble:
            return False
        return True if self._inbox.is_read and self._held.room > 0 else None

    def _loaded(self) -> str | None:
        if self._load is None:
            return None
        try:
            return self._load()
        except Exception as problem:  # load() is the user's: what it raises must not stop the heart
            log.error("load() failed: the beat is sent without it", node_id=self._node_id, problem=repr(problem))
            log.debug("its traceback", exc_info=problem)
            return None

    async def _append(self, beat: NodeHeartbeat) -> None:
        try:
            await self._held.reports.scheduler.append(beat)
        except InvalidField as problem:
            if beat.load_json is None:
                raise
            log.error("load() gave what is no load_json: the beat is sent without it", problem=problem.detail)
            await self._held.reports.scheduler.append(msgspec.structs.replace(beat, load_json=None))

    async def _ask_whether_known(self) -> None:
        """Ask whether the scheduler knows this node, where no beat is answered.

        Raises:
            UnknownNode: it does not.
        """
        partition = self._held.reports.scheduler.partition
        info = partition.keys.node_info(self._node_id)
        if partition.source is None or not self._inbox.was_read:  # the registration is still on its way
            return
        (known,) = await partition.read_state(lambda pipe: pipe.exists(info))
        if not known:
            raise UnknownNode(f"node_id {self._node_id}")
