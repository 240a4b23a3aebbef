"""Many submissions at once: added to the log, and left to the next call, or to a worker, to fold."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from functools import partial

from ..contract.errors import InvalidField
from ..contract.events import JobSubmitted
from ..contract.wire import to_wire
from .partition import BATCH_BYTES, Partition
from .replies import encoded
from .script import script

BATCH = 512
"""Submissions one call adds: one or two milliseconds of the server's time."""


async def append_batch(partition: Partition, jobs: Iterable[JobSubmitted]) -> str:
    """Add submissions that have a ``job_id`` to the log; while the server takes in one batch, the next is being made.

    Returns the id of the last one; empty if there was none.

    Raises:
        Overloaded: too much has come in. Some batches may have been taken: to hand in all of them again has no second
            effect.
        InvalidField: a text is not UTF-8.
        ServerUnreachable: the server stayed away for the patience of the partition; some may have arrived.
    """
    under_way: asyncio.Task[str] | None = None
    try:
        for own in _batches(jobs):
            if under_way is not None:
                await under_way
            under_way = asyncio.create_task(partition.patiently(partial(_add, partition, own)))
            await asyncio.sleep(0)  # it goes out before the next batch is made
    except InvalidField:  # of the next batch, while one is still on its way
        if under_way is not None:
            await under_way
        raise
    return await under_way if under_way is not None else ""


async def _add(partition: Partition, own: bytes) -> str:
    keys = partition.keys
    return str(await script("append_batch")(partition.redis, events=keys("events"), prefix=keys.prefix, own=own))


def _batches(jobs: Iterable[JobSubmitted]) -> Iterator[bytes]:
    batch: list[bytes] = []
    size = 0
    for job in jobs:
        own = encoded(to_wire(job))
        if len(batch) == BATCH or (batch and size + len(own) > BATCH_BYTES):
            yield b"[" + b",".join(batch) + b"]"
            batch, size = [], 0
        batch.append(own)
        size += len(own)
    if batch:
        yield b"[" + b",".join(batch) + b"]"
