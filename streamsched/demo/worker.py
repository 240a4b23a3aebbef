"""A worker process of the demo: ``python -m streamsched.demo.worker URL NAMESPACE FOLDER``.

The same :class:`Worker` as ``streamsched worker``, which ends with the demo. If the demo dies, the worker stops the
demo's server and removes its folder, because no other process does.
"""

from __future__ import annotations

import os
import shutil
import sys
from contextlib import suppress

import anyio
from redis.exceptions import RedisError

from ..connect.client import connect
from ..contract.keys import Keys
from ..ops import logs
from ..worker.worker import Worker
from .link import Leave, commands


async def main(url: str, namespace: str, folder: str) -> None:
    """Work on the server ``url`` until the demo says ``leave`` or is gone."""
    worker = Worker(url, Keys(namespace))

    async def listen() -> None:
        async for command in commands():
            if isinstance(command, Leave):
                break
        else:
            await _clear_up(url, folder)
            os._exit(1)
        worker.stop()

    async with anyio.create_task_group() as group:
        group.start_soon(listen)
        await worker.run()
        group.cancel_scope.cancel()


async def _clear_up(url: str, folder: str) -> None:
    with suppress(RedisError, OSError):  # another worker was faster
        await connect(url).shutdown(nosave=True)
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    logs.configure()
    anyio.run(main, sys.argv[1], sys.argv[2], sys.argv[3])
