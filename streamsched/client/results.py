"""How submitted jobs end, told to whoever waits for them."""

from __future__ import annotations

import asyncio
import secrets
from typing import NamedTuple

import anyio

from ..connect.stream import read_stream
from ..contract.entries import position
from ..contract.errors import ResultTimeout, UnknownJob
from ..contract.jobs import ENDED, JobState
from ..engine.partition import Partition


class JobResult(NamedTuple):
    """How a job ended."""

    job_id: str
    status: JobState
    node_id: str
    result_json: str
    error: str


class ResultListener:
    """Tells every awaited job's end, read from the one reply stream of this process.

    The stream is an effect: capped, and gone with a wiped server. So whenever the connection was lost, and every few
    seconds in between, the jobs still awaited are looked up in the state itself.
    """

    LOOK_MS = 5000

    def __init__(self, url: str, partition: Partition) -> None:
        scope = "" if partition.source is None else f"{partition.source}/"
        self.client_id = scope + secrets.token_hex(8)
        self._wanted = anyio.Event()
        self._url, self._partition = url, partition
        self._awaited: dict[str, asyncio.Future[JobResult]] = {}
        self._accepted: set[str] = set()
        self._handed_in: list[tuple[str, list[str]]] = []

    def expect(self, job_id: str) -> asyncio.Future[JobResult]:
        """Return what will hold this job's end."""
        self._wanted.set()
        if job_id not in self._awaited:
            self._awaited[job_id] = asyncio.get_running_loop().create_future()
        return self._awaited[job_id]

    def accepted(self, job_id: str) -> None:
        """The scheduler has the job: if it does not know it later, it has lost it."""
        if job_id in self._awaited:
            self._accepted.add(job_id)

    def handed_in(self, job_ids: list[str], last_id: str) -> None:
        """The log has these jobs, the last one as this entry: what is not known once that is folded was refused."""
        expected = [job_id for job_id in job_ids if job_id in self._awaited]
        if last_id and expected:  # a producer that expects nothing may run for years
            self._handed_in.append((last_id, expected))

    async def _see_what_is_folded(self) -> None:
        if self._handed_in:
            meta = self._partition.keys("meta")
            watermark = await self._partition.patiently(lambda: self._partition.redis.hget(meta, "watermark"))
            while self._handed_in and position(self._handed_in[0][0]) <= position(watermark or "0-0"):
                for job_id in self._handed_in.pop(0)[1]:
                    self.accepted(job_id)

    def forget(self, job_id: str) -> asyncio.Future[JobResult] | None:
        """Nobody will ask for this job any more."""
        self._accepted.discard(job_id)
        return self._awaited.pop(job_id, None)

    async def follow(self) -> None:
        """Read the reply stream for as long as the scheduler is in use, from the first job on that somebody awaits."""
        await self._wanted.wait()
        key = self._partition.keys.reply(self.client_id)
        async for entries in read_stream(self._url, key, "0-0", longest_ms=self.LOOK_MS):
            for _, fields in entries or ():
                self._tell(fields["job_id"], fields)
            if not entries:
                await self._see_what_is_folded()
                for job_id in list(self._awaited):
                    await self.look_up(job_id)

    async def look_up(self, job_id: str) -> None:
        """Tell the job's end if the state knows it, or that it will never be known."""
        accepted = job_id in self._accepted  # asked first: it may be accepted between our look and our answer
        names = ("status", "node_id", "result_json", "error")
        key = self._partition.keys.job(job_id)
        values = await self._partition.patiently(lambda: self._partition.redis.hmget(key, names))
        if values[0] in ENDED:
            self._tell(job_id, dict(zip(names, values, strict=True)))
        elif values[0] is None and accepted and (future := self.forget(job_id)) and not future.done():
            future.set_exception(
                UnknownJob(f"job {job_id}: the log has lost it, or its retention is over: submit it again")
            )
            future.exception()  # asyncio would complain of one that nobody awaits

    def _tell(self, job_id: str, fields: dict[str, str]) -> None:
        future = self.forget(job_id)
        if future is not None and not future.done():
            status = JobState(fields["status"])
            future.set_result(
                JobResult(job_id, status, fields["node_id"] or "", fields["result_json"] or "", fields["error"] or "")
            )


class Job:
    """A submitted job, and the way to its result."""

    def __init__(self, job_id: str, outcomes: ResultListener, expected: asyncio.Future[JobResult] | None) -> None:
        self.job_id = job_id
        self._outcomes = outcomes
        self._expected = expected

    async def result(self, timeout: float | None = None) -> JobResult:
        """Wait until the job has ended.

        Args:
            timeout: seconds to wait; ``None`` (default) waits for ever.

        Raises:
            ResultTimeout: it had not ended by then. The job goes on, and may be awaited again.
            UnknownJob: nobody will ever tell its end: a crash or a failover lost it, or it is past its retention.
        """
        if self._expected is None:
            self._expected = self._outcomes.expect(self.job_id)
            self._outcomes.accepted(self.job_id)
            await self._outcomes.look_up(self.job_id)
        with anyio.move_on_after(timeout):
            return await asyncio.shield(self._expected)
        raise ResultTimeout(f"job {self.job_id} has not ended after {timeout:g} s: wait again, or look at its state")
