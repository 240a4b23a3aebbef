"""Asks a node's event loop, from another thread, how the node is; notices when the loop does not answer."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
import traceback
from collections.abc import Callable

import msgspec
import structlog

from ...contract.events import NodeHeartbeat

log = structlog.get_logger(__name__)

WAIT_S = 1.0
"""How long a beat waits for the answer of a loop that was answering so far."""

REMEDY = "a handler must not block it; await what waits, and run what computes in a thread, as by asyncio.to_thread"


class Answering:
    """Whether the event loop of one node answers, and what it said last. Made in that loop, used in another thread.

    Args:
        node_id: for the log.
        condition: says how the node is; runs in the node's loop.
    """

    def __init__(self, node_id: str, condition: Callable[[], NodeHeartbeat]) -> None:
        self._node_id, self._condition = node_id, condition
        self._loop, self._thread = asyncio.get_running_loop(), threading.get_ident()
        self._said = condition()
        self._asked_s = self._answered_s = 0.0
        self._question: asyncio.Future[NodeHeartbeat] | None = None
        self._is_logged = False

    @property
    def is_over(self) -> bool:
        """Whether the loop was closed: the program has left it without leaving the node."""
        return self._loop.is_closed()

    def call(self, function: Callable[..., object], *given: object) -> None:
        """Let the loop call something when it can, unless it was closed."""
        if not self.is_over:
            self._loop.call_soon_threadsafe(function, *given)

    async def beat(self, wait_s: float, allowed_s: float) -> NodeHeartbeat:
        """Return the next beat: what the loop says, or what it said last if it does not answer.

        Args:
            wait_s: how long to wait for the answer to a new question, at most :data:`WAIT_S`.
            allowed_s: a loop that does not answer for longer is blocked: then the node accepts no job, and says why.
        """
        if self._question is None:
            self._asked_s = time.monotonic()
            self._question = asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._answer(), self._loop))
            await asyncio.wait([self._question], timeout=min(wait_s, WAIT_S))
        if not self._question.done():
            return self._while_silent(time.monotonic() - self._asked_s, allowed_s)
        question, self._question, self._is_logged = self._question, None, False
        self._said = question.result()
        silent_s = self._answered_s - self._asked_s
        if silent_s <= allowed_s:
            return self._said
        log.warning("the event loop answers again", node_id=self._node_id, blocked_s=round(silent_s, 1))
        trouble = f"the event loop was blocked for {silent_s:.1f} s: {REMEDY}"
        return msgspec.structs.replace(self._said, trouble=self._said.trouble or trouble)

    def close(self) -> None:
        """Ask no more."""
        if self._question is not None:
            self._question.cancel()
            self._question = None

    async def _answer(self) -> NodeHeartbeat:
        self._answered_s = time.monotonic()
        return self._condition()

    def _while_silent(self, silent_s: float, allowed_s: float) -> NodeHeartbeat:
        if silent_s <= allowed_s:
            # it may have no room any more
            accepting = False if self._said.accepting is False else None
            return msgspec.structs.replace(self._said, accepting=accepting, room=None)
        trouble = f"the event loop has been blocked for {silent_s:.1f} s, and takes no jobs: {REMEDY}"
        if not self._is_logged:
            self._is_logged = True
            log.error("the event loop is blocked", node_id=self._node_id, problem=trouble, where=self._where())
        return msgspec.structs.replace(self._said, accepting=False, room=None, trouble=trouble)

    def _where(self) -> str:
        """Return the line that the thread of the loop is at."""
        frame = sys._current_frames().get(self._thread)
        if frame is None:
            return ""
        at = traceback.extract_stack(frame, limit=1)[0]
        return f"{at.filename}:{at.lineno} in {at.name}"
