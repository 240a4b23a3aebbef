"""What a node says of itself in a heartbeat."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from ...contract.events import NodeHeartbeat
from ..held import Held
from ..inbox import Inbox

log = structlog.get_logger(__name__)


class Condition:
    """The condition of one node, as its event loop knows it.

    Args:
        held: what the node has.
        inbox: where its jobs come from: a node that cannot read it accepts none.
        incarnation: which process of the node this is.
        load: returns ``load_json``; ``None`` sends none. What it raises leaves a beat without it.
    """

    def __init__(self, held: Held, inbox: Inbox, incarnation: str | None, load: Callable[[], str] | None) -> None:
        self._held, self._inbox, self._incarnation, self._load = held, inbox, incarnation, load

    @property
    def is_registered(self) -> bool:
        """Whether the registration has arrived: behind an ingress it may be on its way until the inbox is read."""
        return self._inbox.was_read

    def beat(self) -> NodeHeartbeat:
        """Return a beat that says how the node is now."""
        return NodeHeartbeat(
            node_id=self._held.reports.node_id,
            online=True,
            load_json=self._loaded(),
            accepting=self._accepting(),
            room=self._held.room_to_say,
            trouble=self._inbox.trouble or None,
            incarnation=self._incarnation,
        )

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
            log.error("load() failed: the beat is sent without it", problem=repr(problem))
            log.debug("its traceback", exc_info=problem)
            return None
