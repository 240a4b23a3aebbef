"""What Windows lacks is taken away from a process of this machine: file locks, groups of processes, signal handlers of
an event loop, and the modules and signals of Unix."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ..support.processes import SUBMIT, Cli, alive, eventually

ROOT = Path(__file__).resolve().parents[2]

TAKEN = """
import asyncio, os, pkgutil, signal, subprocess, sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name in {"fcntl", "resource", "pwd", "grp", "termios", "tty", "pty", "syslog"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
for name in ("fcntl", "resource", "pwd", "grp", "termios", "tty", "pty", "syslog"):
    sys.modules.pop(name, None)
for name in "KILL HUP QUIT USR1 USR2 STOP CONT ALRM PIPE WINCH".split():
    delattr(signal, "SIG" + name)
for name in ("killpg", "setsid", "getpgid", "getppid", "fork", "statvfs"):
    delattr(os, name)

def refuse(self, *given):
    raise NotImplementedError

asyncio.SelectorEventLoop.add_signal_handler = refuse
asyncio.SelectorEventLoop.remove_signal_handler = refuse
start = subprocess.Popen.__init__

def begin(self, *given, **named):
    if named.get("pass_fds"):
        raise ValueError("pass_fds not supported on Windows.")
    start(self, *given, **named)

subprocess.Popen.__init__ = begin
subprocess.Popen.kill = lambda self: os.kill(self.pid, 9)  # as Windows ends a process
"""

EVERY_MODULE = """
import importlib, pkgutil
import streamsched

for module in pkgutil.walk_packages(streamsched.__path__, "streamsched."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
        print(module.name)
"""


@pytest.fixture
def windows(cli: Cli) -> Cli:
    """The command line, in processes that lack what Windows lacks."""
    (cli.folder / "sitecustomize.py").write_text(TAKEN)
    cli.environment["PYTHONPATH"] = f"{cli.folder}{os.pathsep}{ROOT}"
    return cli


def test_every_module_is_imported(windows: Cli) -> None:
    done = subprocess.run(
        [sys.executable, "-c", EVERY_MODULE], env=windows.environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert {"streamsched.archive.archiver", "streamsched.top.app", "streamsched.dashboard.server"} <= set(
        done.stdout.split()
    )


def test_worker_node_and_commands_do_their_work_and_end_when_told(windows: Cli) -> None:
    worker = windows.start("worker")
    node = windows.start("node", "n1", "--pools", "en-zh", "--exec", "tr a-z A-Z")
    metrics = windows.start("metrics", "--bind", "127.0.0.1:0")
    done = windows.run(*SUBMIT, "--timeout", "30", "hello")
    assert (done.code, done.out) == (0, "HELLO\n"), done
    for command in ("status", "tail --no-follow", "trace session s1", "query select/**/1", "dead list", "configure"):
        shown = windows.run(*command.split())
        assert (shown.code, shown.err) == (0, ""), (command, shown)
    eventually(lambda: "metrics" in windows.output(metrics))
    for process in (node, worker, metrics):
        assert windows.stop(process) == 0, windows.output(process)


def test_a_program_that_is_cut_off_is_ended(windows: Cli) -> None:
    long = "sh -c 'echo $$ > begun; exec sleep 3600'"
    node = windows.start("node", "n1", "--pools", "en-zh", "--exec", long, "--grace-ms", "0")
    windows.start("worker")
    assert windows.run(*SUBMIT, "--job-id", "j1", "x").code == 0
    begun = windows.folder / "begun"
    program = int(eventually(lambda: begun.exists() and begun.read_text()))
    assert alive(program)
    windows.stop(node)
    assert not alive(program)


@pytest.mark.parametrize(
    ("command", "code", "why"),
    [
        ("archive --once --to kept", 2, "this platform has no file locks (fcntl): use Linux or macOS"),
        ("dev", 3, "no server can be started here: this platform has no file locks (fcntl): use Linux or macOS"),
        ("verify", 3, "no server can be started here: this platform has no file locks"),
    ],
)
def test_what_cannot_run_there_says_what_is_missing(windows: Cli, command: str, code: int, why: str) -> None:
    refused = windows.run(*command.split())
    assert (refused.code, "Traceback" in refused.err) == (code, False), refused
    assert why in refused.err
