"""The machine that measures."""

from __future__ import annotations

import os
import platform
from pathlib import Path

CORES = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
"""What this program may use, as it was when it started."""


def machine() -> str:
    """Say what this machine is."""
    cores = len(CORES) or os.cpu_count()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next(line.split(": ")[1] for line in lines if line.startswith("model name"))
    except (OSError, StopIteration, IndexError):
        model = platform.machine()
    return f"{cores} cores ({model}), {platform.system()}, Python {platform.python_version()}"
