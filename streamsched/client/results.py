"""Outcomes of submitted jobs, for the callers that wait for them."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import anyio

from ..connect.stream import read_stream
from ..contract.entries import position
from ..contract.errors import (
    LogWiped,
    NotPermitted,
    ResultTimeout,
    SchedulerClosed,
    SchedulerError,
    UnknownJob,
    UnknownSource,
)
from ..contract.jobs import ENDED, JobState
from ..engine.partition import Partition

LOOK_S = 5.0
"""Between two looks at the state for jobs whose end may have been lost with the reply stream."""

LOOK_BATCH = 500
"""Jobs looked up in one round trip."""

FIELDS = ("status", "node_id", "result_json", "error")


class JobResult(NamedTuple):
    """How a job ended."""

    job_id: str
    status: JobState
    node_id: str
    result_json: str
    error: str


class ResultListener:
    """Delivers the end of every awaited job, read from the one reply stream of this process.

    The stream is an effect: capped, and gone with a wiped server. So the jobs still awaited are looked up in the state
    itself, every few seconds and after each new connection.

    Args:
        url: the server.
        partition: where the jobs are submitted.
    """

    def __init__(self, url: str, partition: Partition) -> None:
        scope = "" if partition.source is None else f"{partition.source}/"
        self.client_id = scope + secrets.token_hex(8)
        self._wanted = anyio.Event()
        self._url, self._partition = url, partition
        self._waiting: dict[str, list[asyncio.Future[JobResult]]] = {}
        self._accepted: set[str] = set()
        self._known: set[str] = set()  # jobs that the state had at the last look
        self._in_log: list[tuple[str, list[str]]] = []  # jobs that are accepted or refused once an entry is folded
        self._reply_read = "0-0"
        self._closed = False

    def expect(self, job_id: str) -> asyncio.Future[JobResult]:
        """Return a future for this job's outcome, for one caller.

        Raises:
            SchedulerClosed: the reader of results has ended.
        """
        if self._closed:
            raise SchedulerClosed("the connection that would read the result is closed: connect again and ask there")
        self._wanted.set()
        future: asyncio.Future[JobResult] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(job_id, []).append(future)
        return future

    def forget(self, job_id: str, future: asyncio.Future[JobResult]) -> None:
        """Remove a caller that no longer waits for a job."""
        waiting = self._waiting.get(job_id, [])
        if future in waiting:
            waiting.remove(future)
        if not waiting:
            self._waiting.pop(job_id, None)
            self._drop(job_id)

    def _drop(self, job_id: str) -> None:
        self._accepted.discard(job_id)
        self._known.discard(job_id)

    def accepted(self, job_id: str) -> None:
        """The scheduler has the job: if it does not know it later, it has lost it."""
        if job_id in self._waiting:
            self._accepted.add(job_id)

    def appended(self, job_ids: Iterable[str], last_id: str) -> None:
        """The log has these jobs, the last one as this entry: a job that is unknown once the entry is folded was
        refused."""
        expected = [job_id for job_id in job_ids if job_id in self._waiting]
        if last_id and expected:  # a producer that expects nothing may run for years
            self._in_log.append((last_id, expected))

    async def listen(self) -> None:
        """Read the reply stream from the first job on that a caller waits for."""
        await self._wanted.wait()
        key = self._partition.keys.reply(self.client_id)
        async for entries in read_stream(self._url, key, self._reply_read):
            for entry_id, fields in entries or ():
                self._reply_read = entry_id
                self._deliver(fields["job_id"], [fields.get(name) for name in FIELDS])
            if entries is None:
                await self.look_up(list(self._waiting))

    async def keep_looking(self) -> None:
        """Look up, every few seconds, what the reply stream may have lost; it may be busy with other jobs meanwhile."""
        await self._wanted.wait()
        while True:
            await anyio.sleep(LOOK_S)
            await self._note_folded()
            await self.look_up(list(self._waiting))

    def close(self) -> None:
        """The reader of results has ended: fail the waiting callers."""
        self._closed = True
        for job_id, futures in list(self._waiting.items()):
            problem = SchedulerClosed(f"job {job_id}: its result is not read any more; the job goes on")
            self._fail(futures, problem)
        self._waiting.clear()

    async def _note_folded(self) -> None:
        """Find out which submissions the scheduler has judged by now: those up to the watermark, or, behind an ingress,
        up to the last entry that it took from there."""
        if not self._in_log:
            return
        partition = self._partition
        if partition.source is None:
            meta = partition.keys("meta")
            ((judged,),) = await partition.read_state(lambda pipe: pipe.hmget(meta, "watermark"))
        else:
            key = partition.keys("source", partition.source)
            rows = await partition.read_state(lambda pipe: pipe.hmget(key, ("role", "revoked", "last_id")))
            role, revoked, judged = rows[0]
            if role is None or revoked == "true":
                await self._give_up(role is None)
                return
        while self._in_log and position(self._in_log[0][0]) <= position(judged or "0-0"):
            for job_id in self._in_log.pop(0)[1]:
                self.accepted(job_id)

    async def _give_up(self, unknown: bool) -> None:
        """Fail the callers whose submissions no worker takes from the ingress."""
        source = self._partition.source
        problem: SchedulerError
        if unknown:
            problem = UnknownSource(f"source {source}: it was never admitted, so that its events are ignored")
        else:
            problem = NotPermitted(f"source {source}: it was revoked, so that its events are ignored")
        job_ids = [job_id for _, some in self._in_log for job_id in some]
        self._in_log.clear()
        await self.look_up(job_ids)  # what was taken in before goes on
        for job_id in job_ids:
            if job_id not in self._known:
                self._fail(self._waiting.pop(job_id, ()), problem)

    async def look_up(self, job_ids: Sequence[str]) -> None:
        """Deliver the ends that the state knows, and tell the callers of jobs that it will never know."""
        for start in range(0, len(job_ids), LOOK_BATCH):
            some = job_ids[start : start + LOOK_BATCH]
            accepted = self._accepted.intersection(some)  # before the read: one may be accepted meanwhile
            keys = [self._partition.keys.job(job_id) for job_id in some]
            reads = [(lambda pipe, key=key: pipe.hmget(key, FIELDS)) for key in keys]
            try:
                rows = await self._partition.read_state(*reads)
            except LogWiped as problem:
                self._lose(problem)
                raise
            for job_id, row in zip(some, rows, strict=True):
                if row[0] is not None and job_id in self._waiting:
                    self._known.add(job_id)
                if row[0] in ENDED:
                    self._deliver(job_id, row)
                elif row[0] is None and job_id in accepted:
                    self._drop(job_id)
                    lost = "the log has lost it, or its retention is over: submit it again"
                    self._fail(self._waiting.pop(job_id, ()), UnknownJob(f"job {job_id}: {lost}"))

    def _lose(self, problem: LogWiped) -> None:
        """Fail every waiting caller: the log is gone, and its jobs with it unless an operator restores it."""
        for futures in self._waiting.values():
            self._fail(futures, problem)
        for forgotten in (self._waiting, self._accepted, self._known, self._in_log):
            forgotten.clear()

    def _deliver(self, job_id: str, row: Sequence[Any]) -> None:
        status, node_id, result_json, error = row
        result = JobResult(job_id, JobState(status), node_id or "", result_json or "", error or "")
        self._drop(job_id)
        for future in self._waiting.pop(job_id, ()):
            if not future.done():
                future.set_result(result)

    @staticmethod
    def _fail(futures: Iterable[asyncio.Future[JobResult]], problem: Exception) -> None:
        for future in futures:
            if not future.done():
                future.set_exception(problem)
                future.exception()  # asyncio would complain of a future that is never awaited


class Job:
    """A submitted job, and the way to its result."""

    def __init__(self, job_id: str, results: ResultListener, expected: asyncio.Future[JobResult] | None) -> None:
        self.job_id = job_id
        self._results = results
        self._expected = expected

    def __repr__(self) -> str:
        state = "not awaited" if self._expected is None else "ended" if self._expected.done() else "awaited"
        return f"<Job {self.job_id} {state}>"

    @property
    def _is_lost(self) -> bool:
        future = self._expected
        if future is None or not future.done() or future.cancelled():
            return False
        return isinstance(future.exception(), LogWiped)

    async def result(self, timeout: float | None = None) -> JobResult:
        """Wait until the job has ended.

        Args:
            timeout: seconds to wait; ``None`` (default) waits for ever.

        Raises:
            ResultTimeout: it had not ended by then. The job goes on, and may be awaited again.
            UnknownJob: its end will never be known: a crash or a failover lost it, or it is past its retention.
            SchedulerClosed: the scheduler that would read the result was closed. The job goes on.
            LogWiped: the server has lost the log. When it is restored, the result may be awaited again.
        """
        if self._expected is None or self._is_lost:
            self._expected = self._results.expect(self.job_id)
            self._results.accepted(self.job_id)
            await self._results.look_up([self.job_id])
        with anyio.move_on_after(timeout):
            return await asyncio.shield(self._expected)
        raise ResultTimeout(f"job {self.job_id} has not ended after {timeout:g} s: wait again, or look at its state")
