"""A client whose replies are lost on their way, after the server has acted: its caller cannot know."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from fakeredis import FakeAsyncRedis
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from streamsched.engine.script import script

RIGHTS = script("try_rights")
"""A call that changes nothing: to lose its reply would be no test."""


class Lossy(Redis):
    """Loses replies to script calls."""

    lose: int = 0
    """How many of the next ones."""
    between: Callable[[], Awaitable[None]] | None = None
    """The next one is lost, too, and others do this before its caller notices."""
    instead: BaseException | None = None
    """Raised in place of the next call, which never reaches the server."""
    scripts: int = 0
    """How many were made so far."""

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        """Send a command; its reply may be lost."""
        is_script = args[0] in ("EVALSHA", "EVAL") and args[1] not in (RIGHTS.sha, RIGHTS.text)
        self.scripts += is_script
        if is_script and self.instead is not None:
            problem, self.instead = self.instead, None
            raise problem
        reply = await super().execute_command(*args, **options)  # type: ignore[no-untyped-call]
        if is_script and (self.lose or self.between is not None):
            self.lose = max(self.lose - 1, 0)
            between, self.between = self.between, None
            if between is not None:
                await between()
            raise RedisConnectionError("the reply was lost")
        return reply


class LossyFake(Lossy, FakeAsyncRedis):  # type: ignore[misc]
    """The same before a server that is a double."""
