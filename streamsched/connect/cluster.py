"""A cluster: all keys of a partition lie in one slot, and connections go to the server that holds the slot.

Redirects are not followed one by one: a script that follows a redirect for one key would not find its other keys there.
When the slot has moved, the connection is dropped. While the slot is moving, the caller tries again.
"""

from __future__ import annotations

from typing import Any

from redis.asyncio import Redis
from redis.asyncio.connection import Connection, ConnectionPool, SSLConnection
from redis.crc import key_slot
from redis.exceptions import AuthenticationError, MovedError, NoPermissionError, RedisError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.utils import str_if_bytes

from ..contract.errors import ServerUnreachable
from .address import host_port

Address = tuple[str, int]


class Slot:
    """The slot of a partition, and servers that may know its holder.

    Args:
        seeds: servers of the cluster from the URL.
        partition: the partition.
        options: options of the short connections to them.
    """

    def __init__(self, seeds: list[Address], partition: int, options: dict[str, Any]) -> None:
        self.seeds, self.options = seeds, options
        self.number = int(key_slot(f"{{{partition}}}".encode()))
        self.moved = 0
        """How often the slot was found to have moved."""
        self._servers = list(seeds)

    async def holder(self) -> Address:
        """Ask one server after another who holds the slot. The one that answers is asked first next time, then the
        servers it names: all servers from the URL may be gone by then.

        Raises:
            ServerUnreachable: the server is not part of a cluster.
            AuthenticationError, NoPermissionError: none answered, and one refused the login.
            RedisConnectionError: no server knows, or none answers.
        """
        answers: list[str] = []
        refused: RedisError | None = None
        for host, port in self._servers:
            try:
                slots = await self._ask(host, port)
            except (AuthenticationError, NoPermissionError) as problem:
                refused = problem
            except (RedisError, OSError) as problem:
                if "cluster support disabled" in str(problem):
                    where = host_port(host, port)
                    raise ServerUnreachable(f"{where} is in no cluster: give redis://{where}") from problem
                answers.append(f"{host_port(host, port)} ({problem})")
            else:
                named = [_address(server, host) for _, _, *servers in slots for server in servers]
                self._servers = list(dict.fromkeys([(host, port), *self.seeds, *named]))
                for first, last, master, *_ in slots:
                    if first <= self.number <= last:
                        return _address(master, host)
                answers.append(f"{host_port(host, port)} knows none")
        if refused is not None:
            raise refused
        raise RedisConnectionError(f"no server of the cluster says who holds slot {self.number}: {', '.join(answers)}")

    def has_moved(self, to: Address) -> None:
        """Ask the new holder first: the others may learn of the move a second later."""
        self.moved += 1
        self._servers = list(dict.fromkeys([to, *self._servers]))

    async def _ask(self, host: str, port: int) -> list[Any]:
        client: Any = Redis(host=host, port=port, **self.options)
        async with client as server:
            slots: list[Any] = await server.execute_command("CLUSTER", "SLOTS")
            return slots


def _address(server: list[Any], asked: str) -> Address:
    """Read an address from ``CLUSTER SLOTS``; an empty host means the server that was asked."""
    return str_if_bytes(server[0] or b"") or asked, int(server[1])


class SlotConnection(Connection):
    """A connection to the server that holds a slot at that time."""

    def __init__(self, *, slot: Slot, **options: Any) -> None:
        super().__init__(**options)
        self.slot, self._moved = slot, 0

    async def connect(self) -> None:
        """Connect, unless a connection exists and the slot has not moved since."""
        if self._moved != self.slot.moved:
            await self.disconnect()
        if not self.is_connected:
            self._moved = self.slot.moved
            self.host, self.port = await self.slot.holder()
        await super().connect()  # type: ignore[no-untyped-call]

    async def read_response(self, *args: Any, **options: Any) -> Any:
        """Read a reply.

        Raises:
            RedisConnectionError: the slot has moved; the next connect goes to its new server.
        """
        try:
            return await super().read_response(*args, **options)
        except MovedError as problem:
            await self.disconnect()
            self.slot.has_moved((problem.host or self.host, problem.port))
            where = host_port(self.host, self.port)
            raise RedisConnectionError(f"{where} no longer holds the slot: {problem}") from problem


class SecureSlotConnection(SlotConnection, SSLConnection):
    """The same over TLS."""


class SlotPool(ConnectionPool):
    """Connections to the server that holds a slot."""

    def __init__(self, slot: Slot, secure: bool, **options: Any) -> None:
        super().__init__(SecureSlotConnection if secure else SlotConnection, slot=slot, **options)
        self.slot = slot
