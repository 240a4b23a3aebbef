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
    """The sentinels, which know the present master."""

    async def discover_master(self, service_name: str) -> tuple[str, int]:
        """Ask one after another. The one that answers is asked first next time.

        Raises:
            AuthenticationError: no sentinel knows the master, and one refused the login.
            MasterNotFoundError: none knows the master, or it is down and has no successor yet.
        """
        answers: list[str] = []
        refused: AuthenticationError | None = None
        away: Exception | None = None
        for n, sentinel in enumerate(self.sentinels):
            try:
                masters: Any = await sentinel.sentinel_masters()
            except AuthenticationError as problem:
                refused = problem
            except AWAY as problem:
                away = problem
                answers.append(str(problem))
            else:
                state = masters.get(service_name)
                if state and self.check_master_state(state, service_name):
                    self.sentinels.insert(0, self.sentinels.pop(n))
                    return str(state["ip"]), int(state["port"])
                answers.append(f"{address(sentinel)} " + ("says it is down" if state else f"knows {list(masters)}"))
        if refused is not None:
            raise AuthenticationError(f"{A_SENTINEL} {refused} (?sentinel_username=, ?sentinel_password=)")
        raise MasterNotFoundError(f"no sentinel knows a master {service_name!r}: {'; '.join(answers)}") from away


class SentinelPool(SentinelConnectionPool):
    """Connections to the server that the sentinels name."""

    sentinel_manager: SentinelClient

    async def rotate_slaves(self) -> AsyncIterator[tuple[str, int]]:
        """Yield the replicas in random order; never the master, which would accept writes."""
        found = list(await self.sentinel_manager.discover_slaves(self.service_name))
        random.shuffle(found)
        for host, port in found:
            yield str(host), int(port)
        raise SlaveNotFoundError(f"no sentinel knows a replica of {self.service_name!r} that is up")

    async def aclose(self) -> None:
        """Close the connections to the server and to the sentinels."""
        await super().aclose()
        for sentinel in self.sentinel_manager.sentinels:
            await sentinel.aclose()
