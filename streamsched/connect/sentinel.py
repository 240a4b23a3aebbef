"""Connections to the master that the sentinels name."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from typing import Any

from redis.asyncio.sentinel import MasterNotFoundError, Sentinel, SentinelConnectionPool, SlaveNotFoundError
from redis.exceptions import AuthenticationError

from .address import address
from .outage import A_SENTINEL, AWAY


class SentinelClient(Sentinel):
    """The sentinels, who know which server is the master now."""

    async def discover_master(self, service_name: str) -> tuple[str, int]:
        """Ask one after another; whoever answered is the first to be asked next time.

        Raises:
            AuthenticationError: no sentinel knew it, and one refused the login.
            MasterNotFoundError: none knows it, or it is down and no other has been chosen yet.
        """
        told: list[str] = []
        refused: AuthenticationError | None = None
        away: Exception | None = None
        for n, sentinel in enumerate(self.sentinels):
            try:
                masters: Any = await sentinel.sentinel_masters()
            except AuthenticationError as problem:
                refused = problem
            except AWAY as problem:
                away = problem
                told.append(str(problem))
            else:
                state = masters.get(service_name)
                if state and self.check_master_state(state, service_name):
                    self.sentinels.insert(0, self.sentinels.pop(n))
                    return str(state["ip"]), int(state["port"])
                told.append(f"{address(sentinel)} " + ("says that it is down" if state else f"knows {list(masters)}"))
        if refused is not None:
            raise AuthenticationError(f"{A_SENTINEL} {refused} (?sentinel_username=, ?sentinel_password=)")
        raise MasterNotFoundError(f"no sentinel knows a master {service_name!r}: {'; '.join(told)}") from away


class SentinelPool(SentinelConnectionPool):
    """Connections to whichever server the sentinels name."""

    sentinel_manager: SentinelClient

    async def rotate_slaves(self) -> AsyncIterator[tuple[str, int]]:
        """Yield the replicas, in random order; never the master, which would take what is written."""
        found = list(await self.sentinel_manager.discover_slaves(self.service_name))
        random.shuffle(found)
        for host, port in found:
            yield str(host), int(port)
        raise SlaveNotFoundError(f"no sentinel knows a replica of {self.service_name!r} that is up")

    async def aclose(self) -> None:
        """Let go of the server and of the sentinels."""
        await super().aclose()
        for sentinel in self.sentinel_manager.sentinels:
            await sentinel.aclose()
