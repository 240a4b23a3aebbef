"""What can be done to a process of the product from inside: cancel all that is under way, be another version."""

from __future__ import annotations

import asyncio
import signal
from types import FrameType

from streamsched import scripts


def cancel_on_signal(text: str) -> None:
    """At SIGUSR1 cancel every task of the process, wherever it is: in the middle of an append, say."""

    def cancel_all() -> None:
        for task in asyncio.all_tasks():
            task.cancel()

    def heard(signum: int, frame: FrameType | None) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            raise SystemExit(1) from None  # it has not begun, or has ended
        loop.call_soon_threadsafe(cancel_all)

    signal.signal(signal.SIGUSR1, heard)


def be_another_version(text: str) -> None:
    """Let every script have other bytes and so another hash, as two releases side by side have."""
    compose = scripts.compose
    scripts.compose = lambda name: f"{compose(name)}\n-- {text}"
