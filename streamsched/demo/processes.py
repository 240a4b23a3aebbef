"""The child processes of the demo: started, commanded, killed on purpose, and always ended."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from .link import AnyCommand, Leave, to_line

LEAVE_S = 6.0
"""How long a child may take to leave in good order before it is killed."""


class Child:
    """One process, with a pipe to its standard input and a file for what it prints."""

    def __init__(self, name: str, command: list[str], log: Path, environment: Mapping[str, str] | None = None) -> None:
        self.name, self.log = name, log
        self.dismissed = False
        """Whether it was asked to end, or killed; a process that ended without that has failed."""
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                command,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a Ctrl-C in the terminal reaches the demo only, which then ends this process
            )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    @property
    def exit_code(self) -> int | None:
        """What it ended with; ``None`` while it runs."""
        return self._process.poll()

    def tell(self, command: AnyCommand) -> None:
        """Send it a command; a process that has ended gets none."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError, ValueError):  # it has ended, or its pipe is closed already
            self._process.stdin.write(to_line(command))
            self._process.stdin.flush()

    def kill(self) -> None:
        """End it as a crash would, with SIGKILL, by its own id."""
        self.dismissed = True
        if self.alive:
            self._process.kill()
        self._process.wait()
        self._close()

    def leave(self) -> None:
        """Ask it to end in good order; :meth:`Processes.end` waits for it."""
        self.dismissed = True
        self.tell(Leave())
        self._close()

    def _close(self) -> None:
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()


class Processes:
    """All children of one demo. ``with`` ends every one of them at the end, also after an error."""

    def __init__(self, url: str, namespace: str, folder: Path) -> None:
        self._place = [url, namespace, str(folder)]
        self._folder = folder
        self.children: list[Child] = []

    def start(self, module: str, name: str) -> Child:
        """Start ``python -m streamsched.demo.<module> URL NAMESPACE FOLDER`` under a name of its own."""
        return self.run(name, [sys.executable, "-m", f"streamsched.demo.{module}", *self._place])

    def run(self, name: str, command: list[str], environment: Mapping[str, str] | None = None) -> Child:
        """Start any command under a name of its own; one that does not read its standard input is killed in the end."""
        child = Child(name, command, self._folder / f"{len(self.children):02}-{name}.log", environment)
        self.children.append(child)
        return child

    def end(self, children: Iterable[Child]) -> None:
        """Ask all children to leave, wait :data:`LEAVE_S` in total, and kill the rest."""
        children = list(children)
        for child in children:
            child.leave()
        deadline = time.monotonic() + LEAVE_S
        while any(child.alive for child in children) and time.monotonic() < deadline:
            time.sleep(0.02)
        for child in children:
            child.kill()

    def last_words(self, lines: int = 15) -> str:
        """Return the ends of the logs of children that have ended: what there is to say when a demo goes wrong."""
        texts = []
        for child in self.children:
            if not child.alive:
                tail = child.log.read_text(errors="replace").splitlines()[-lines:]
                texts.append("\n".join([f"--- {child.name} (pid {child.pid})", *tail]))
        return "\n".join(texts)

    def __enter__(self) -> Processes:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.end(self.children)
        for child in self.children:
            child.kill()
