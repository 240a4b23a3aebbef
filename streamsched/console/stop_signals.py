"""The signals that end a command in good order."""

from __future__ import annotations

import asyncio
import math
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import anyio

STOP = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def stop_signals(*numbers: signal.Signals) -> Iterator[AsyncIterator[signal.Signals]]:
    """Catch signals while the block lasts, ``SIGTERM`` and Ctrl-C by default; yield an iterator over them."""
    with ExitStack() as caught:
        try:
            signals = caught.enter_context(anyio.open_signal_receiver(*(numbers or STOP)))
        except NotImplementedError:  # the event loop of Windows
            signals = caught.enter_context(_outside_the_loop(*(numbers or STOP)))
        yield signals


@contextmanager
def _outside_the_loop(*numbers: signal.Signals) -> Iterator[AsyncIterator[signal.Signals]]:
    loop = asyncio.get_running_loop()
    send, receive = anyio.create_memory_object_stream[signal.Signals](math.inf)

    def caught(number: int, frame: object) -> None:
        loop.call_soon_threadsafe(send.send_nowait, signal.Signals(number))

    before: dict[signal.Signals, Any] = {number: signal.signal(number, caught) for number in numbers}
    try:
        with send, receive:
            yield receive
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
