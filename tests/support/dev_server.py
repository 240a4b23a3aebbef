"""``streamsched dev`` as a process of its own, the way a newcomer starts it."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from redis import Redis
from redis.exceptions import RedisError


@contextmanager
def dev_server(port: int) -> Iterator[str]:
    """Yield the URL of a running ``streamsched dev``; end it with SIGTERM."""
    process = subprocess.Popen([sys.executable, "-m", "streamsched", "dev", "--port", str(port)])
    url = f"redis://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 30
        with Redis.from_url(url) as redis:
            while time.monotonic() < deadline and process.poll() is None:
                try:
                    # its worker has begun once it has said when it will look again
                    if redis.hexists("scheduler:{0}:meta", "look_ts"):
                        break
                except RedisError:
                    pass
                time.sleep(0.05)
        assert process.poll() is None, "streamsched dev ended by itself"
        yield url
    finally:
        process.terminate()
        process.wait(timeout=30)
