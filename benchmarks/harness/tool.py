"""The commands of the product, each as a process of its own, with its peak of memory."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from streamsched.contract.keys import Keys


class Tool:
    """Runs the commands on one partition, each as a process of its own."""

    def __init__(self, url: str, keys: Keys, folder: Path) -> None:
        self.environment = os.environ | {"STREAMSCHED_URL": url, "STREAMSCHED_NAMESPACE": keys.namespace}
        self.folder = folder
        self.archive = folder / "archive"

    def run(self, *words: str) -> tuple[float, float]:
        """Run one to its end; returns the seconds it took and the most memory it had, in MiB.

        Raises:
            SystemExit: it failed; the text is its output.
        """
        began, peak = time.perf_counter(), 0
        command = [sys.executable, "-m", "streamsched", *words]
        with (self.folder / "output").open("w") as output:
            streams: dict[str, Any] = {"stdout": output, "stderr": output}
            process = subprocess.Popen(command, env=self.environment, preexec_fn=_any_core, **streams)
            while process.poll() is None:
                # of the tool alone: the kernel's account at its end would count the scratch server in
                peak = max(peak, peak_kib(process.pid))
                time.sleep(0.02)
        if process.returncode:
            raise SystemExit(f"streamsched {' '.join(words)} failed:\n{(self.folder / 'output').read_text()}")
        return time.perf_counter() - began, peak / 1024


def _any_core() -> None:
    """Let a command and its scratch server have all cores: this program keeps off the server's own."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, range(os.cpu_count() or 1))


def peak_kib(pid: int) -> int:
    """The most memory that a process has had so far, in KiB; 0 if it has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:  # ended a moment ago, or a system without it
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("VmHWM")), 0)
