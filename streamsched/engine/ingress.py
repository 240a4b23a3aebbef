"""Writing through an ingress: for a source that must not append to the log and gets no immediate answer."""

from __future__ import annotations

import asyncio
import re
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any

import msgspec
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from ..contract.errors import InvalidField
from ..contract.keys import Keys
from .partition import PATIENCE_S, Partition, open_partition
from .replies import Answer
from .script import scheduler_error

NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")


class IngressPartition(Partition):
    """A partition to which a source writes through its ingress stream.

    An append returns before the event is judged: acceptance shows in its effects, such as an outcome on the reply
    stream, and a refusal becomes a dead letter.

    Args:
        redis: a client that may add to the ingress.
        keys: the partition.
        patience_s: see :class:`.partition.Partition`.
        source: the name under which the source was admitted.

    Raises:
        InvalidField: no source can have this name.
    """

    def __init__(self, redis: Redis, keys: Keys, patience_s: float = PATIENCE_S, *, source: str) -> None:
        if not NAME.fullmatch(source):
            raise InvalidField(f"source is {source!r}: use up to 64 letters, digits, dots, hyphens and underscores")
        super().__init__(redis, keys, patience_s)
        self.source = source
        self._stream = keys("ingress", source)

    async def _append_call(self, taken: list[tuple[bytes, asyncio.Future[Answer]]]) -> None:
        redis: Any = self.redis
        waiting = [one for one in taken if not one[1].done()]
        async with redis.pipeline(transaction=False) as pipe:
            for encoded, _ in waiting:
                pipe.execute_command("XADD", self._stream, "*", *msgspec.json.decode(encoded, type=list[str]))
            try:
                ids = await pipe.execute()
            except ResponseError as problem:
                raise scheduler_error(problem) from problem
        for (_, future), entry_id in zip(waiting, ids, strict=True):
            self._known = entry_id
            if not future.done():
                future.set_result(Answer(entry_id, None))


def open_source(
    url: str, keys: Keys, patience_s: float = PATIENCE_S, source: str | None = None
) -> AbstractAsyncContextManager[Partition]:
    """Connect to a server, to append to the log or, as a source, to write through an ingress.

    Raises:
        InvalidField: no source can have this name.
        ServerTooOld, ServerUnreachable: see :func:`.partition.open_partition`.
    """
    if source is None:
        return open_partition(url, keys, patience_s)
    return open_partition(url, keys, patience_s, partial(IngressPartition, source=source))
