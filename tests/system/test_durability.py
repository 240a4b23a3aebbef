"""What docs/durability.md says: its settings start a server, and what measures its figures still measures."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from streamsched.connect.client import connect
from streamsched.server.embedded import EmbeddedServer

from .durability import machine_lost, process_killed, promoted

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "durability.md").read_text()


async def test_the_recommended_settings_are_those_of_a_server_that_starts(binary: Path) -> None:
    (block,) = re.findall(r"```conf\n(.*?)```", PAGE, re.DOTALL)
    rows = [line.split(None, 1) for line in block.splitlines() if line and not line.startswith("#")]
    wanted = {name: value.strip() for name, value in rows}
    with EmbeddedServer(binary=binary, options=wanted) as server:
        redis = connect(server.url)
        for name, value in wanted.items():
            assert await redis.config_get(name) == {name: value}
        await redis.aclose()


async def test_what_is_fsynced_before_it_is_acknowledged_outlives_process_and_machine() -> None:
    for loss in (await process_killed(0.3, "always"), await machine_lost(0.3, "always")):
        assert loss.acknowledged > 0
        assert loss.lost == 0


async def test_without_a_file_everything_acknowledged_goes_with_the_process() -> None:
    loss = await process_killed(0.2, "off")
    assert loss.lost == loss.acknowledged > 0


async def test_a_parted_master_that_needs_no_replica_acknowledges_what_is_lost() -> None:
    unguarded = await promoted(0.3, 0, cut_s=1)
    assert unguarded.lost > 0
