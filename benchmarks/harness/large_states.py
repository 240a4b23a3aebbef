"""Large states, fast: the server writes the log itself, and ``advance`` folds it as it would at any other time.

A million entries that travel from Python take minutes; a script that appends some thousands of them takes 2 µs each.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import product
from typing import Any

from streamsched.contract.events import Event, NodeHeartbeat, NodeRegistered, SchedulerConfigured
from streamsched.contract.wire import to_wire

from .load import DAY, Ground

CHUNK = 2_000
"""Events written before they are folded: what nodes hold meanwhile fits into their windows."""

WRITE = """
for n = tonumber(ARGV[1]), tonumber(ARGV[2]) do
  local flat, number = {}, string.format('%.0f', n)
  for i = 3, #ARGV do
    flat[i - 2] = string.gsub(ARGV[i], '#', number)
  end
  redis.call('XADD', KEYS[1], '*', unpack(flat))
end
"""
"""Append an event for each number of a range, which takes the place of ``#`` in its fields."""

ANSWER = """
local found, answered = redis.call('XRANGE', KEYS[1], '(' .. ARGV[1], '+'), 0
for i = 1, #found do
  local e, flat = {}, found[i][2]
  for j = 1, #flat, 2 do
    e[flat[j]] = flat[j + 1]
  end
  if e.type == 'job.dispatched' then
    redis.call('XADD', KEYS[1], '*', 'type', 'job.completed', 'job_id', e.job_id, 'node_id', e.node_id,
      'attempt', found[i][1] .. '-' .. e.nonce, 'status', 'finished', 'result_json', ARGV[2], 'ran_ms', '1')
    answered = answered + 1
  end
end
return answered
"""
"""Append the completion of every job that was dispatched behind an entry, as of a node that was done at once."""


def many_pools(count: int) -> tuple[str, ...]:
    """Names of pools that share no pair of languages."""
    codes = [f"{a}{b}" for a, b in product("abcdefghijklmnopqrstuvwxyz", repeat=2)][: int((2 * count) ** 0.5) + 2]
    return tuple(f"{a}-{b}" for i, b in enumerate(codes) for a in codes[:i])[:count]


async def register(ground: Ground, pools: Iterable[dict[str, Any]], first: int) -> list[str]:
    """Register a node for each of the pools, numbered from ``first``, and let it beat once."""
    nodes, registered, beats = [], list[Event](), list[Event]()
    for number, pool in enumerate(pools, first):
        nodes.append(f"node-{number:06d}")
        registered.append(NodeRegistered(node_id=nodes[-1], cap_json="{}", pool_names_json=json.dumps([pool])))
        beats.append(NodeHeartbeat(node_id=nodes[-1], online=True))
    for start in range(0, len(nodes), CHUNK):
        await ground.fill("events", registered[start : start + CHUNK])
        await ground.drain()
        await ground.fill("heartbeats", beats[start : start + CHUNK])
        await ground.drain()
    return nodes


async def steady(ground: Ground) -> None:
    """Let no time limit of the scheduler pass while a state grows and is measured."""
    await ground.fill(
        "events", [SchedulerConfigured(retention_ms=DAY, heartbeat_timeout_ms=DAY, accept_timeout_ms=DAY)]
    )
    await ground.drain()


async def write(ground: Ground, event: Event, first: int, last: int) -> None:
    """Append an event for each number and fold them all."""
    command: Any = ground.redis.eval
    for start in range(first, last + 1, CHUNK):
        await command(WRITE, 1, ground.keys("events"), start, min(start + CHUNK - 1, last), *to_wire(event))
        await ground.drain()


async def finish_all(ground: Ground, event: Event, first: int, last: int, result: str) -> None:
    """Let as many jobs live from submission to completion."""
    command: Any = ground.redis.eval
    for start in range(first, last + 1, CHUNK):
        before, end = await last_id(ground), min(start + CHUNK - 1, last)
        await write(ground, event, start, end)
        answered = await command(ANSWER, 1, ground.keys("events"), before, result)
        assert answered == end - start + 1, f"{end - start + 1 - answered} jobs found no node"
        await ground.drain()


async def last_id(ground: Ground) -> str:
    """Return the id of the last entry of the log."""
    return str((await ground.redis.xinfo_stream(ground.keys("events")))["last-generated-id"])


async def say_often(ground: Ground, node_id: str, first: int, last: int) -> None:
    """Make the log longer by beats, which leave nothing in the state."""
    await write(ground, NodeHeartbeat(node_id=node_id, online=True, load_json='{"queued":#}'), first, last)
