"""What can be done to a process of the product from inside: cancel all that is under way, be another version, die."""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import time
from pathlib import Path
from random import Random
from types import FrameType
from typing import Any

from streamsched.archive import archiver, writer
from streamsched.engine import composition as scripts


def cancel_on_signal(text: str) -> None:
    """At SIGUSR1 cancel every task of the process, wherever it is: in the middle of an append, say."""

    def cancel_all() -> None:
        for task in asyncio.all_tasks():
            task.cancel()

    def heard(signum: int, frame: FrameType | None) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            raise SystemExit(1) from None  # it has not begun, or has ended
        loop.call_soon_threadsafe(cancel_all)

    signal.signal(signal.SIGUSR1, heard)


def be_another_version(text: str) -> None:
    """Let every script have other bytes and so another hash, as two releases side by side have."""
    product: Any = scripts
    compose = product.compose
    product.compose = lambda name: f"{compose(name)}\n-- {text}"


def see_no_lock(text: str) -> None:
    """Lock files as on a share that does not show the locks of other machines: each process gets every lock."""
    product: Any = fcntl
    product.flock = lambda file, how: None


class Death:
    """Ends the process with SIGKILL before one of the archiver's steps to the disk, or with the power of its machine.

    With the power goes what was not synced: a file's bytes that no fsync followed, and a new name whose folder no fsync
    followed, unless the kernel had happened to write it, as ``random`` says.

    Args:
        step: how many steps are let pass; a step is an fsync, a rename, or a call of a script that trims.
        power: whether the power goes, too.
        random: what the kernel had written by itself.
        folder: the archive's.
    """

    def __init__(self, step: int, power: bool, random: Random, folder: Path) -> None:
        self.left, self.power, self.random, self.folder = step, power, random, folder
        self._began = time.time()
        self._synced: set[int] = set()  # inodes
        self._renamed: list[tuple[Path, Path, bytes | None]] = []
        product: Any = archiver
        disk: Any = writer
        paths: Any = Path
        self._sync, self._rename, self._script = disk.sync, paths.rename, product.script
        disk.sync, product.script = self.sync, self.script
        product.LETTERS_KEPT = 0  # so that letters are trimmed, too, however few there are
        paths.rename = lambda path, target: self.rename(path, Path(target))

    def sync(self, path: Path) -> None:
        self._pass()
        self._sync(path)
        self._synced.add(path.stat().st_ino)
        if path.is_dir():
            self._renamed.clear()

    def rename(self, path: Path, target: Path) -> Path:
        if path.suffix != ".part":
            return Path(self._rename(path, target))
        self._pass()
        self._renamed.append((path, target, target.read_bytes() if target.exists() else None))
        return Path(self._rename(path, target))

    def script(self, name: str) -> Any:
        if name in ("trim_log", "trim_dead_letters"):
            self._pass()
        return self._script(name)

    def _pass(self) -> None:
        self.left -= 1
        if self.left >= 0:
            return
        if self.power:
            self._lose()
        os.kill(os.getpid(), signal.SIGKILL)

    def _lose(self) -> None:
        for path in self.folder.glob("*.p*"):  # segments, whole or in part; what an earlier life wrote is on disk
            about = path.stat()
            if about.st_ino not in self._synced and about.st_mtime > self._began and self.random.random() < 0.5:
                os.truncate(path, about.st_size // 2)
        for path, target, before in reversed(self._renamed):
            if self.random.random() < 0.5:
                continue  # the kernel had written it
            self._rename(target, path)
            if before is not None:
                target.write_bytes(before)
                self._synced.add(target.stat().st_ino)


def die_at(text: str) -> None:
    """Die before a step; ``text`` is its number, ``kill`` or ``power``, a seed, and the folder of the archive."""
    step, how, seed, folder = text.split(" ", 3)
    Death(int(step), how == "power", Random(seed), Path(folder))
