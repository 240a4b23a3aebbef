"""Plays a document as a reader would: files are saved, commands are typed, and what it shows must come true.

A block with a ``title`` is a file of that name; Python without one is a program to run. In a ``console`` block each
line that begins with ``$ `` is typed, with those behind it that it ends in a backslash for; lines below it are what it
prints, where ``…`` stands for anything. A command must succeed.
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import shutil
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path
from typing import NamedTuple

BLOCK = re.compile(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```$', re.DOTALL | re.MULTILINE)
USUAL_URL = "redis://localhost:6379"
NOTICE = re.compile(rb"^bash: line \d+: +\d+ Killed .*\r\n", re.MULTILINE)
"""What the shell says, whenever it finds out, of a program that was killed in its background."""
PATIENCE_S = 60.0
SIZE = (50, 120)
"""Lines and columns of the terminal."""


class Block(NamedTuple):
    """A fenced block of a document."""

    language: str
    title: str
    text: str


class Step(NamedTuple):
    """One command, and what the document says that it prints; empty if it does not say."""

    command: str
    shown: str


def blocks(text: str) -> list[Block]:
    """Return the fenced blocks of a document, in order."""
    return [Block(*found) for found in BLOCK.findall(text)]


def steps(text: str) -> list[Step]:
    """Return the commands of a ``console`` block."""
    found: list[Step] = []
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, _, shown = re.sub(r"\\\n", "\0", part).partition("\n")
        found.append(Step(command.replace("\0", "\\\n"), shown.strip()))
    return found


def comes_true(shown: str, printed: str) -> bool:
    """Tell whether a command printed what the document shows."""
    pattern = ""
    for line in shown.splitlines():
        some = ".*".join(re.escape(part) for part in line.rstrip().split("…"))
        pattern += r"(?:.*\n)*" if line.strip() == "…" else some + r"\n"
    lines = "".join(line.rstrip() + "\n" for line in printed.strip().splitlines())
    return re.fullmatch(pattern, lines) is not None


class Shell:
    """A shell at a terminal, in a folder and with a server of its own."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder, self.url = folder, url
        programs = folder / ".programs"
        programs.mkdir()
        port = url.rpartition(":")[2]
        lines = {
            "streamsched": f'{sys.executable} -m streamsched "$@"',
            "python": f'{sys.executable} "$@"',
            "redis-cli": f'{shutil.which("redis-cli")} -p {port} "$@"',
        }
        for name, line in lines.items():
            (programs / name).write_text(f"#!/bin/sh\nexec {line}\n")
            (programs / name).chmod(0o755)
        environment = {name: text for name, text in os.environ.items() if not name.startswith("STREAMSCHED_")}
        environment |= {"PATH": f"{programs}:{environment['PATH']}", "STREAMSCHED_URL": url, "TERM": "dumb"}
        self._ours, terminal = pty.openpty()
        self._bash = subprocess.Popen(
            ["bash", "--norc", "--noprofile"],
            stdin=subprocess.PIPE,
            stdout=terminal,
            stderr=terminal,
            cwd=folder,
            env=environment,
            start_new_session=True,
        )
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", *SIZE, 0, 0))
        os.close(terminal)

    def play(self, text: str, but: str = "") -> None:
        """Do everything that a document says, except for the one command ``but``, which has been done already."""
        for block in blocks(text):
            if block.title or block.language == "python":
                (self.folder / (block.title or "program.py")).write_text(block.text.replace(USUAL_URL, self.url))
            if block.language == "python" and not block.title:
                self.check(Step("python program.py", ""))
            elif block.language == "console":
                for step in steps(block.text):
                    if step.command != but:
                        self.check(step)

    def check(self, step: Step) -> None:
        """Run a command and hold what it prints against what the document shows."""
        code, printed = self.run(step.command)
        assert code == 0, f"$ {step.command}\n{printed}"
        assert not step.shown or comes_true(step.shown, printed), f"$ {step.command}\n{printed}\nis not\n{step.shown}"

    def run(self, command: str) -> tuple[int, str]:
        """Type a command; return its exit code and what was printed meanwhile."""
        self._type(f'{{ {command}\n}} </dev/null; echo "<$?>"')
        printed = b""
        deadline = time.monotonic() + PATIENCE_S
        while not (ended := re.search(rb"<(\d+)>\r\n$", printed)):
            ready, _, _ = select.select([self._ours], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"$ {command}\ndoes not end\n{printed.decode()}"
            printed += os.read(self._ours, 65536)
        return int(ended[1]), NOTICE.sub(b"", printed[: ended.start()]).decode().replace("\r\n", "\n")

    def close(self) -> None:
        """End the shell, and what runs in its background in good order."""
        self._type("kill $(jobs -p) 2>/dev/null; wait; exit")
        self._bash.communicate(timeout=PATIENCE_S)
        os.close(self._ours)

    def _type(self, line: str) -> None:
        assert self._bash.stdin is not None
        self._bash.stdin.write(f"{line}\n".encode())
        self._bash.stdin.flush()
