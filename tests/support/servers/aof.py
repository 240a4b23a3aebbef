"""Append-only files, cut where no crash but a torn disk would cut them: what a server makes of each beginning."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from pathlib import Path

from redis import Redis
from redis.exceptions import ResponseError

from streamsched.server.embedded import EmbeddedServer

MULTI, EXEC = b"*1\r\n$5\r\nMULTI\r\n", b"*1\r\n$4\r\nEXEC\r\n"
SYNCED = {"appendfsync": "always"}
"""For a server that is killed and must know all it answered: under ``everysec`` a slow disk holds writes back."""
LENIENT = {"appendfsync": "no", "aof-load-truncated": "yes", "enable-debug-command": "yes"}
START_S = 20.0


def log_of(data: Path) -> Path:
    """Return the file to which a server with this folder appends."""
    files = (data / "appendonlydir").glob("*.incr.aof")  # behind a rewrite an older one may be on its way out
    return max(files, key=lambda file: file.stat().st_mtime)


def wholes(whole: bytes) -> list[tuple[int, int]]:
    """Return where what is written at once begins and ends: the effects of a script, or a command by itself."""
    found, at, begin = [], 0, 0
    inside = False
    while at < len(whole):
        first, at = at, _behind_command(whole, at)
        if whole.startswith(MULTI, first):
            begin, inside = first, True
        elif whole.startswith(EXEC, first):
            found.append((begin, at))
            inside = False
        elif not inside:
            found.append((first, at))
    return found


def _behind_command(whole: bytes, at: int) -> int:
    end = whole.index(b"\r\n", at)
    count, at = int(whole[at + 1 : end]), end + 2
    for _ in range(count):
        end = whole.index(b"\r\n", at)
        at = end + 2 + int(whole[at + 1 : end]) + 2
    return at


def tail(whole: bytes, scripts: int) -> int:
    """Return where the last so many scripts begin."""
    begins = [begin for begin, _ in wholes(whole) if whole.startswith(MULTI, begin)]
    return begins[-scripts]


def digests(data: Path, binary: Path | None, whole: bytes, cuts: Iterable[int]) -> Iterator[tuple[int, str]]:
    """Cut the file of a server that has ended, and yield for each length the digest of what is loaded from it.

    Valkey loads one beginning after the other on request, in a few ms each; Redis 7.0 ends when such a file is shorter
    than it should be, so that it is restarted for each.
    """
    loaded = _restarted(data, binary, whole, cuts) if binary else _reloaded(data, whole, cuts)
    yield from loaded
    log_of(data).write_bytes(whole)


def _reloaded(data: Path, whole: bytes, cuts: Iterable[int]) -> Iterator[tuple[int, str]]:
    file = log_of(data)
    with (
        EmbeddedServer(data, append_only=True, options=LENIENT) as server,
        Redis(port=server.port, decode_responses=True) as redis,
    ):
        for end in cuts:
            file.write_bytes(whole[:end])
            with suppress(ResponseError):  # it has loaded what it could, and complains of the rest
                redis.execute_command("DEBUG", "LOADAOF")
            yield end, redis.execute_command("DEBUG", "DIGEST")


def _restarted(data: Path, binary: Path, whole: bytes, cuts: Iterable[int]) -> Iterator[tuple[int, str]]:
    file, door = log_of(data), data / "door"
    options = [part for name, value in LENIENT.items() for part in (f"--{name}", value)]
    command = [str(binary), "--port", "0", "--unixsocket", str(door), "--appendonly", "yes", "--save", "", *options]
    for end in cuts:
        file.write_bytes(whole[:end])
        door.unlink(missing_ok=True)
        process = subprocess.Popen([*command, "--logfile", "cut.log"], cwd=data)
        try:
            yield end, _asked(door)
        finally:
            process.kill()
            process.wait()


def _asked(door: Path) -> str:
    """Return the digest of a server that is about to answer, once it has loaded everything."""
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        with closing(socket.socket(socket.AF_UNIX)) as line:
            try:
                line.connect(str(door))
            except OSError:
                time.sleep(0.0005)
                continue
            answers = line.makefile("rb")
            line.sendall(b"PING\r\n")
            if answers.readline() == b"+PONG\r\n":  # else it is still loading
                line.sendall(b"DEBUG DIGEST\r\n")
                return answers.readline().decode().strip().removeprefix("+")
    raise TimeoutError(f"no server at {door}")


def states(whole: bytes, loaded: Iterable[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    """Yield each length at which another state was loaded than at the one before, and what is wrong with that.

    Args:
        whole: the file.
        loaded: lengths in rising order, each with the digest of what was loaded.
    """
    ends = [end for _, end in wholes(whole)]
    last, known = 0, ""
    for cut, digest in loaded:
        if digest != known:
            lawful = not known or any(last < end <= cut for end in ends)
            yield cut, "" if lawful else f"a part of a script is loaded: {digest} behind {known}, at {last} bytes"
        last, known = cut, digest
