"""A cluster of real processes, whose slots move and whose masters are killed."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

from redis import Redis
from redis.crc import key_slot

from streamsched.contract.keys import Keys
from streamsched.server.embedded import EmbeddedServer, free_port

from ..processes import eventually
from .watched import AT_ONCE, ask

SLOTS = 16_384
KEYS_AT_ONCE = 5
FORMED_S = 30.0


def cluster_options() -> dict[str, str]:
    """Return what a server needs to be one of a cluster on this machine."""
    return {
        "cluster-enabled": "yes",
        "cluster-port": str(free_port()),  # by default 10,000 above the other one: too high
        "cluster-announce-ip": "127.0.0.1",
        "cluster-node-timeout": "2000",
        "cluster-replica-validity-factor": "0",
    }


def client_of(server: EmbeddedServer) -> Any:
    """Return a plain client of one server."""
    return Redis(port=server.port, decode_responses=True, protocol=2)


class Cluster:
    """Three masters, and a replica of the last of them, which holds partition 0.

    Args:
        binary: the server program.
        more: makes further options, for each server its own.
    """

    def __init__(self, binary: Path, more: Callable[[], dict[str, str]] = dict) -> None:
        options = [{**AT_ONCE, **cluster_options(), **more()} for _ in range(4)]
        self.servers = [EmbeddedServer(binary=binary, options=one) for one in options]
        self.moves_at_once = binary.name == "valkey-server"
        """Whether a slot can move unseen, as in Valkey 9."""
        self._held = ExitStack()

    @property
    def url(self) -> str:
        """What to give to clients; a server that says nothing for two seconds counts as gone."""
        return f"redis+cluster://{','.join(f'127.0.0.1:{server.port}' for server in self.servers)}?socket_timeout=2"

    def __enter__(self) -> Cluster:
        with self._held:
            for server in self.servers:
                self._held.enter_context(server)
            self._form()
            self._held = self._held.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._held.close()

    def _form(self) -> None:
        masters, bounds = self.servers[:3], [n * SLOTS // 3 for n in range(4)]
        for n, server in enumerate(masters):
            ask(server.port, "CLUSTER", "SET-CONFIG-EPOCH", str(n + 1))
            ask(server.port, "CLUSTER", "ADDSLOTSRANGE", str(bounds[n]), str(bounds[n + 1] - 1))
        for other in self.servers[1:]:
            meet = ("127.0.0.1", str(other.port), other.options["cluster-port"])
            ask(self.servers[0].port, "CLUSTER", "MEET", *meet)
        eventually(lambda: all(self._sees(server, "cluster_known_nodes:4") for server in self.servers), FORMED_S)
        eventually(lambda: ask(self.servers[3].port, "CLUSTER", "REPLICATE", self.id_of(masters[2])), FORMED_S)
        eventually(self.whole, FORMED_S)

    def _sees(self, server: EmbeddedServer, what: str) -> bool:
        return what in str(ask(server.port, "CLUSTER", "INFO"))

    def whole(self) -> bool:
        """Tell whether every server sees a cluster that serves all slots, and each replica follows its master."""
        if not all(self._sees(server, "cluster_state:ok") for server in self.servers):
            return False
        roles = [ask(server.port, "ROLE") for server in self.servers]
        return sorted(role[0] for role in roles) == ["master"] * 3 + ["slave"] and all(
            role[3] == "connected" for role in roles if role[0] == "slave"
        )

    def id_of(self, server: EmbeddedServer) -> str:
        """Return the name by which a cluster calls a server."""
        return str(ask(server.port, "CLUSTER", "MYID"))

    def holder(self, keys: Keys, but: EmbeddedServer | None = None) -> EmbeddedServer:
        """Return the server that holds a partition, as all that are up agree; not ``but``, which is gone."""

        def agreed() -> EmbeddedServer | None:
            named = {port for server in self.servers if (port := self._holder(server, keys)) is not None}
            return next((server for server in self.servers if {server.port} == named and server is not but), None)

        found: EmbeddedServer = eventually(agreed, FORMED_S)
        return found

    def _holder(self, server: EmbeddedServer, keys: Keys) -> int | None:
        slots = ask(server.port, "CLUSTER", "SLOTS")
        number = slot_of(keys)
        return next((int(master[1]) for first, last, master, *_ in slots or [] if first <= number <= last), None)

    def move(self, keys: Keys, target: EmbeddedServer, atomic: bool = False) -> None:
        """Move the slot of a partition to another master."""
        source = self.holder(keys)
        with client_of(source) as one, client_of(target) as other:
            port = int(target.options.get("tls-port", target.port))  # where servers of a cluster that speaks TLS meet
            (move_at_once if atomic else move_key_by_key)(one, other, slot_of(keys), port)


def slot_of(keys: Keys) -> int:
    """Return the slot of a partition."""
    return int(key_slot(keys("events").encode()))


def move_key_by_key(one: Any, other: Any, slot: int, port: int) -> None:
    """Move a slot in the classic way, and in the worst order: what a script looks at first goes last, so that it begins
    and cannot end."""
    one_id, other_id = (server.execute_command("CLUSTER", "MYID") for server in (one, other))
    other.execute_command("CLUSTER", "SETSLOT", slot, "IMPORTING", one_id)
    one.execute_command("CLUSTER", "SETSLOT", slot, "MIGRATING", other_id)
    place = ("127.0.0.1", port, "", 0, 5000, "KEYS")
    while keys := one.execute_command("CLUSTER", "GETKEYSINSLOT", slot, 10_000):
        keys.sort(key=lambda key: key.endswith((":meta", ":events", ":heartbeats", ":dead")))
        for start in range(0, len(keys), KEYS_AT_ONCE):
            one.execute_command("MIGRATE", *place, *keys[start : start + KEYS_AT_ONCE])
            time.sleep(0.02)
    for server in (other, one):
        server.execute_command("CLUSTER", "SETSLOT", slot, "NODE", other_id)


def move_at_once(one: Any, other: Any, slot: int, port: int) -> None:
    """Move a slot as Valkey 9 does it: unseen, until all of it is there."""
    other_id = other.execute_command("CLUSTER", "MYID")
    one.execute_command("CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", slot, slot, "NODE", other_id)
    eventually(lambda: "success" in str(one.execute_command("CLUSTER", "GETSLOTMIGRATIONS")))
