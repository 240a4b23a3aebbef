"""Drawn logs, with the decisions that real servers took, fold to the same on Valkey, on Redis and by the model.

``STREAMSCHED_EXPLORE=500`` draws that many new stories instead of the ones that every run takes.
"""

from __future__ import annotations

import os
from functools import cache

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from streamsched.contract.errors import PartitionHalted
from streamsched.contract.wire import EVENTS
from streamsched.engine.source import facts
from streamsched.server.embedded import EmbeddedServer

from ..support.planting import Bug
from ..support.servers.kinds import SERVERS
from .events import POOLS, odd_fields
from .mistakes import MISTAKES
from .play import Said, Story, stories
from .stage import Parted, stage

EXPLORE = int(os.environ.get("STREAMSCHED_EXPLORE", 0))


def drawn(examples: int) -> settings:
    """How stories are drawn: the same ones on every run, unless exploring."""
    return settings(
        max_examples=EXPLORE or examples,
        derandomize=not EXPLORE,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
        # to shrink a story takes minutes; the message names the entry at which the folds part, and keeps the log
        phases=[Phase.generate, *([Phase.shrink] if EXPLORE else [])],
    )


odd_stories: st.SearchStrategy[Story] = st.lists(odd_fields(), min_size=60, max_size=120).map(
    lambda events: ([("type", "scheduler.configured")], POOLS[:1], [Said("xadd", events)])
)


REFUSALS = {
    "ALREADY_TERMINAL",
    "FORGED_DECISION",
    "INVALID_FIELD",
    "JOB_CONFLICT",
    "NODE_IN_USE",
    "NODE_MISMATCH",
    "NODE_SUPERSEDED",
    "NOT_PERMITTED",
    "OVERLOADED",
    "STALE_ATTEMPT",
    "UNKNOWN_JOB",
    "UNKNOWN_NODE",
    "UNKNOWN_SOURCE",
    "UNKNOWN_TYPE",
    "UNSUPPORTED_VERSION",
}
"""The codes of dead letters; INTERNAL is a bug."""


def name_of(server: EmbeddedServer, servers: dict[str, EmbeddedServer]) -> str:
    return next(name for name in SERVERS if servers.get(name) is server)


def test_a_log_folds_to_the_same_on_every_server_and_by_the_model(
    server: EmbeddedServer, servers: dict[str, EmbeddedServer]
) -> None:
    with stage(servers, name_of(server, servers)) as (runner, built):

        @drawn(150)
        @given(stories())
        def reported(story: Story) -> None:
            runner.run(built.tell(story))

        reported()
    missing = (EVENTS.keys() | facts().keys()) - {"scheduler.upgraded"} - built.reached.keys()
    assert not missing, "stories that never get there prove nothing"
    assert not REFUSALS - {kind.rpartition(" ")[2] for kind in built.reached}


def test_an_odd_field_is_read_alike_on_every_server_and_by_the_model(
    server: EmbeddedServer, servers: dict[str, EmbeddedServer]
) -> None:
    with stage(servers, name_of(server, servers)) as (runner, built):

        @drawn(50)
        @given(odd_stories)
        def reported(story: Story) -> None:
            runner.run(built.tell(story))

        reported()
    assert built.reached["node.registered"] > 200
    assert built.reached["node.registered INVALID_FIELD"] > 400


@cache
def told_before() -> list[Story]:
    """Stories for those who need several times the same ones."""
    found: list[Story] = []

    @drawn(700)
    @given(stories())
    def keep(story: Story) -> None:
        found.append(story)

    keep()
    return found


@pytest.mark.parametrize("mistake", MISTAKES, ids=[mistake.guard for mistake in MISTAKES])
def test_a_mistake_in_the_lua_makes_some_story_part_from_the_model(
    servers: dict[str, EmbeddedServer], mistake: Bug
) -> None:
    parted = None
    with mistake.planted(), stage({"valkey": servers["valkey"]}, "valkey") as (runner, built):
        for story in told_before():
            try:
                runner.run(built.tell(story))
            except (Parted, PartitionHalted) as problem:
                parted = problem
                break
    assert parted, f"no story notices that {mistake.fault}"
