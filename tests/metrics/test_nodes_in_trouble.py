"""The gauge behind the alert on nodes in trouble."""

from __future__ import annotations

import pytest

from streamsched.contract.events import NodeHeartbeat
from streamsched.server.embedded import EmbeddedServer

from ..support.ledger import Ledger
from ..support.scraping import exported

pytestmark = pytest.mark.anyio


async def test_online_nodes_in_trouble_are_counted(server: EmbeddedServer, ledger: Ledger) -> None:
    async with exported(server, ledger.keys) as shown:
        for n in range(3):
            await ledger.node(f"n{n}")
        await shown.until(lambda now: now.get("nodes_in_trouble") == 0)
        for n in range(2):
            await ledger.append(NodeHeartbeat(node_id=f"n{n}", online=True, trouble="no inbox"))
        await shown.until(lambda now: now.get("nodes_in_trouble") == 2)
        await ledger.append(["type", "node.offline", "node_id", "n0"])
        await shown.until(lambda now: now.get("nodes_in_trouble") == 1)
        await ledger.append(NodeHeartbeat(node_id="n1", online=True))
        await shown.until(lambda now: now.get("nodes_in_trouble") == 0)
