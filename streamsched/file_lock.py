"""A lock on an open file, which ends with the last process that holds the file open."""

from __future__ import annotations

from typing import IO, Any


class NotOnThisPlatform(RuntimeError):
    """The operating system lacks what this needs; the text names it."""


def lock_file(file: IO[Any]) -> None:
    """Lock an open file for this process and those that inherit it.

    Raises:
        BlockingIOError: another process has locked it.
        NotOnThisPlatform: there are no such locks, as on Windows.
    """
    try:
        import fcntl  # here, so that all else works where it is missing
    except ModuleNotFoundError:
        raise NotOnThisPlatform("this platform has no file locks (fcntl): use Linux or macOS") from None
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
