"""A worker process of the demo: ``python -m streamsched.demo.worker URL NAMESPACE``.

The same :class:`Worker` as ``streamsched worker``, which ends with the demo; if the demo dies without a word, it ends
the demo's server as well, because nobody else is left to do it.
"""

from __future__ import annotations

import sys

import anyio
from redis.exceptions import RedisError

from .. import logs
from ..keys import Keys
from ..partition import connect
from ..worker import Worker
from .link import Leave, commands


async def main(url: str, namespace: str) -> None:
    """Work on the server ``url`` until the demo says ``leave`` or is gone."""
    worker = Worker(url, Keys(namespace))
    asked = False

    async def listen() -> None:
        nonlocal asked
        async for command in commands():
            if isinstance(command, Leave):
                asked = True
                break
        worker.stop()

    async with anyio.create_task_group() as group:
        group.start_soon(listen)
        await worker.run()
        group.cancel_scope.cancel()
    if not asked:
        server = connect(url)
        try:
            await server.shutdown(nosave=True)
        except (RedisError, OSError):
            pass  # another worker was faster
        finally:
            await server.aclose()


if __name__ == "__main__":
    logs.configure()
    anyio.run(main, sys.argv[1], sys.argv[2])
