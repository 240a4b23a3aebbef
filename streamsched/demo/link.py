"""The pipe from the demo to a child process: one command a line, and its end.

A child reads it as its standard input. When the demo dies, however it dies, the pipe ends, and so does the child: no
process stays behind, without any help from the operating system that only some have.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator

import msgspec

from ..workload.fleet import NodePlan

PATIENCE_S = 10
"""How long a child may take to leave once the pipe has ended; then the kernel ends it."""


class Command(msgspec.Struct, frozen=True, tag_field="do"):
    """A command from the demo to a child."""


class Add(Command, frozen=True, tag="add"):
    """Run this node."""

    plan: NodePlan


class Remove(Command, frozen=True, tag="remove"):
    """Stop this node cleanly, like a spot machine that is warned before it goes."""

    node_id: str


class Pause(Command, frozen=True, tag="pause"):
    """Let this node send heartbeats but not read its inbox."""

    node_id: str


class Resume(Command, frozen=True, tag="resume"):
    """Let this node read its inbox again."""

    node_id: str


class Leave(Command, frozen=True, tag="leave"):
    """The demo is over: end cleanly. If the pipe ends without this, the demo has died."""


AnyCommand = Add | Remove | Pause | Resume | Leave


def to_line(command: AnyCommand) -> bytes:
    """Return a command as it goes through the pipe."""
    return msgspec.json.encode(command) + b"\n"


async def commands() -> AsyncIterator[AnyCommand]:
    """Yield what the demo asks for, until the pipe ends.

    From then on, or from ``leave`` on, this process has :data:`PATIENCE_S` left to live.
    """
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        command = msgspec.json.decode(line, type=AnyCommand)
        if isinstance(command, Leave):
            signal.alarm(PATIENCE_S)
        yield command
    signal.alarm(PATIENCE_S)
