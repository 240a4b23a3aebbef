"""A program as a job's handler: the payload on its stdin, the result from its stdout, its exit code as the verdict."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
from contextlib import suppress
from typing import Literal

import anyio
from anyio.abc import ByteReceiveStream, ByteSendStream, Process

from ..client.tracing import current_traceparent
from ..contract.errors import JobFailed
from ..contract.kinds import LIMITS
from ..sanitize import mask
from .task import Assignment

TAIL_BYTES = 2048
"""How much of a failed program's stderr goes into the job's error."""

TERM_S = 5.0
"""How long a program may take to end after SIGTERM before it is killed."""

DRAIN_S = 1.0
"""How long after a program's end its output is still read: what it left running may keep the pipe open."""


class Program:
    """Runs a command once per job, without a shell, in a process group of its own.

    The environment holds ``STREAMSCHED_JOB_ID``, ``STREAMSCHED_SRC_LANG``, ``STREAMSCHED_TGT_LANG``,
    ``STREAMSCHED_SESSION_ID`` and ``STREAMSCHED_ATTEMPT`` (1 at the first attempt), and ``TRACEPARENT`` if the job is
    part of a trace; the password of the server is taken out of it. One newline at the end of the output is dropped; no
    output is no result.

    Args:
        command: program and arguments, quoted as a shell would have them.

    Raises:
        ValueError: the command is empty, badly quoted, or names no program that can be run.
    """

    def __init__(self, command: str) -> None:
        self.argv = shlex.split(command)
        if not self.argv:
            raise ValueError("the command is empty: give a program and its arguments")
        if shutil.which(self.argv[0]) is None:
            raise ValueError(f"no program {self.argv[0]!r}: give its path, or sh -c '…' for what needs a shell")

    async def run(self, job: Assignment) -> str | None:
        """Carry out one job. Cancelled, it ends the program: SIGTERM, and SIGKILL after :data:`TERM_S`.

        Raises:
            JobFailed: the program did not exit with 0, or its output is too large or not UTF-8.
        """
        environment = {**_surroundings(), **self._facts(job)}
        with anyio.CancelScope(shield=True):  # cancelled half-way, what it has started would live on
            process = await anyio.open_process(self.argv, env=environment, start_new_session=True)
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        out, err = bytearray(), bytearray()
        try:
            async with anyio.create_task_group() as pipes:
                pipes.start_soon(_feed, process.stdin, job.payload_json.encode())
                pipes.start_soon(_collect, process.stdout, out, process)
                pipes.start_soon(_keep_tail, process.stderr, err)
                code = await process.wait()
                pipes.cancel_scope.deadline = anyio.current_time() + DRAIN_S
        finally:
            with anyio.CancelScope(shield=True):
                await _end(process)
        return _result(code, bytes(out), bytes(err))

    @staticmethod
    def _facts(job: Assignment) -> dict[str, str]:
        trace = current_traceparent() or job.traceparent
        return ({"TRACEPARENT": trace} if trace else {}) | {
            "STREAMSCHED_JOB_ID": job.job_id,
            "STREAMSCHED_SRC_LANG": job.src_lang,
            "STREAMSCHED_TGT_LANG": job.tgt_lang,
            "STREAMSCHED_SESSION_ID": job.session_id,
            "STREAMSCHED_ATTEMPT": str(job.attempts),
        }


SECRETS = ("STREAMSCHED_PASSWORD", "STREAMSCHED_DASHBOARD_TOKEN")
"""Variables of streamsched that a program does not inherit."""


def _surroundings() -> dict[str, str]:
    """Return our environment without the secrets: a program that fails may print what it finds, and that goes into the
    log as the job's error.
    """
    held = {name: text for name, text in os.environ.items() if name not in SECRETS}
    if mask(held.get("STREAMSCHED_URL", "")) != held.get("STREAMSCHED_URL", ""):
        del held["STREAMSCHED_URL"]
    return held


def _result(code: int, out: bytes, err: bytes) -> str | None:
    if len(out) > LIMITS["payload"]:
        raise JobFailed(f"the output exceeds {LIMITS['payload']} bytes: write it elsewhere and print a reference")
    if code != 0:
        how = f"exit code {code}" if code > 0 else f"ended by {signal.Signals(-code).name}"
        tail = err.decode(errors="replace").strip()
        raise JobFailed(f"{how}: {tail}" if tail else how)
    try:
        return out.decode().removesuffix("\n") or None
    except UnicodeDecodeError as problem:
        raise JobFailed(f"the output is not UTF-8 ({problem}): encode it") from None


async def _feed(stdin: ByteSendStream, payload: bytes) -> None:
    with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError, OSError):
        await stdin.send(payload)  # a program need not read it
    with suppress(anyio.BrokenResourceError, OSError):
        await stdin.aclose()


async def _collect(stdout: ByteReceiveStream, out: bytearray, process: Process) -> None:
    async for chunk in stdout:
        out += chunk
        if len(out) > LIMITS["payload"] + 1:  # the newline at the end does not count
            _signal(process, "SIGKILL")
            return


async def _keep_tail(stderr: ByteReceiveStream, err: bytearray) -> None:
    async for chunk in stderr:
        err += chunk
        del err[:-TAIL_BYTES]


def _signal(process: Process, name: Literal["SIGTERM", "SIGKILL"]) -> None:
    """Signal the program and all processes that it started. Where there are no groups of processes, as on Windows, the
    program alone is ended, at once."""
    with suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.Signals[name])
        else:
            process.kill()


async def _end(process: Process) -> None:
    if process.returncode is None:
        _signal(process, "SIGTERM")
        with anyio.move_on_after(TERM_S):
            await process.wait()
    _signal(process, "SIGKILL")  # what it may have left behind shares its group
    await process.aclose()
