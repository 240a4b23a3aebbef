"""The producer's side: the four calls, ``submit``, and the results of jobs."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
from collections.abc import AsyncIterator, Iterable
from contextlib import AbstractContextManager, asynccontextmanager
from functools import partial
from typing import NamedTuple

import structlog

from ..connect.background import background_task
from ..connect.url import of_partition
from ..contract.errors import InvalidField, NotPermitted, error_of
from ..contract.events import (
    Event,
    JobCancelled,
    JobCompleted,
    JobSubmitted,
    NodeHeartbeat,
    NodeRegistered,
    SessionReleased,
)
from ..contract.jobs import ENDED, JobState
from ..contract.keys import DEFAULT_NAMESPACE, Keys
from ..contract.kinds import LIMITS
from ..contract.wire import to_wire
from ..engine.batch import append_batch
from ..engine.ingress import open_source
from ..engine.own_loop import OwnLoop
from ..engine.partition import PATIENCE_S, Partition
from ..engine.replies import Answer
from .requests import CompleteTaskRequest, DispatchRequest, HeartbeatRequest, RegisterNodeRequest, SubmitRequest
from .results import Job, ResultListener
from .tracing import submitting

log = structlog.get_logger(__name__)


class Dispatched(NamedTuple):
    """The answer to ``dispatch_task``."""

    job_id: str
    node_id: str
    pool_id: str
    attempt: str
    """The attempt's token; hand it back with the completion."""


class Scheduler:
    """One partition of the scheduler, from a producer's side; made by :meth:`connect`."""

    def __init__(self, url: str, partition: Partition) -> None:
        self.url = url
        self.partition = partition
        self.results = ResultListener(url, partition)
        self.own_loop = OwnLoop(
            lambda: open_source(url, partition.keys, partition.patience_s, partition.source), partition.heard
        )
        """Runs what must go on while the event loop of the program is blocked."""

    @classmethod
    @asynccontextmanager
    async def connect(
        cls,
        url: str,
        namespace: str = DEFAULT_NAMESPACE,
        partition: int = 0,
        patience_s: float = PATIENCE_S,
        source: str | None = None,
    ) -> AsyncIterator[Scheduler]:
        """Connect to a server and follow the outcomes of this process's jobs.

        Args:
            url: ``redis://``, ``rediss://``, ``unix://``, ``redis+sentinel://`` or ``redis+cluster://``; see
                :func:`.connection.place_of`.
            namespace: the first part of every key; ``scheduler`` by default.
            partition: the number of the partition; 0 by default.
            patience_s: seconds for which a call goes on trying while the server is away; 30 by default.
            source: append to the ingress of this source instead of the log; ``None`` by default. Then a call returns
                before the scheduler has checked the event.

        Raises:
            InvalidField: no source can have this name.
            ServerTooOld: the server is older than Redis 7.0.
            ServerUnreachable: it did not answer.
        """
        url = of_partition(url, partition)
        async with open_source(url, Keys(namespace, partition), patience_s, source) as opened:
            opened.membership.name = f"client {socket.gethostname()}:{os.getpid()}:{secrets.token_hex(2)}"
            scheduler = cls(url, opened)
            async with (
                background_task("results", scheduler.results.listen),
                background_task("lost results", scheduler.results.keep_looking),
            ):
                try:
                    yield scheduler
                finally:
                    scheduler.results.close()

    async def append(self, event: Event) -> Answer:
        """Append any event of the contract; the calls below are made of this one.

        Raises:
            SchedulerError: it was refused; see :meth:`Partition.append`.
        """
        return await self.partition.append(event)

    async def register_node(self, request: RegisterNodeRequest) -> None:
        """Announce a node. It receives jobs once it beats.

        Raises:
            InvalidField: ``cap_json`` or ``pool_names_json`` cannot be read; the text names the entry and the remedy.
        """
        await self.append(
            NodeRegistered(node_id=request.node_id, cap_json=request.cap_json, pool_names_json=request.pool_names_json)
        )

    async def heartbeat(self, request: HeartbeatRequest) -> None:
        """Say that a node is there, or that it goes.

        Raises:
            UnknownNode: it has never registered here, or the server was wiped: register it first.
            InvalidField: ``load_json`` is not JSON, or ``trouble`` is too long.
        """
        beat = NodeHeartbeat(
            node_id=request.node_id,
            online=request.online,
            load_json=request.load_json,
            trouble=request.trouble or None,
        )
        await self.append(beat)

    async def dispatch_task(self, request: DispatchRequest) -> Dispatched:
        """Choose a node for a job, now. The caller delivers the job to it, unless ``deliver`` is set.

        Raises:
            NoPoolForLangPair: no pool serves the pair.
            EmptyPool: pools serve it, none has a member.
            NoAvailableNode: they have members, none may receive a job now.
            Paused: an operator has paused the pair, or its pools.
            JobConflict: the ``job_id`` was used before, for other content.
            Overloaded: too many jobs wait; try again after ``retry_after_ms``.
            InvalidField: a field is malformed.
            NotPermitted: through an ingress nothing is answered at once.
        """
        if self.partition.source is not None:
            raise NotPermitted(
                f"dispatch_task is answered at once, and source {self.partition.source} speaks through an ingress, "
                "where nothing is: submit the job instead, or connect without a source"
            )
        job_id = self._job_id(request)
        with self._span(job_id, request) as traceparent:
            return await self._dispatch(job_id, request, traceparent)

    async def _dispatch(self, job_id: str, request: DispatchRequest, traceparent: str | None) -> Dispatched:
        answer = await self.append(
            JobSubmitted(
                session_id=request.session_id,
                src_lang=request.src_lang,
                tgt_lang=request.tgt_lang,
                payload_json=self._bounded(request.payload_json),
                job_id=job_id,
                affinity=request.affinity,
                traceparent=traceparent,
                immediate=True,
                deliver=None if request.deliver else False,
            )
        )
        names = ("status", "node_id", "pool_id", "attempt", "error")
        state = dict(zip(("job_id", *names), answer.job or (), strict=True))
        while state["status"] == JobState.CREATED:
            # more decisions were due than one call may take; ours is among the next
            await self.partition.patiently(self.partition.advance)
            read = partial(self.partition.redis.hmget, self.partition.keys.job(job_id), names)
            state = {name: value or "" for name, value in zip(names, await self.partition.patiently(read), strict=True)}
        if state["status"] == JobState.REFUSED:
            code, _, detail = state["error"].partition(" ")
            raise error_of(code, detail)
        return Dispatched(job_id, state["node_id"], state["pool_id"], state["attempt"])

    async def complete_task(self, request: CompleteTaskRequest) -> None:
        """Report how a job ended. Reporting the same end twice changes nothing.

        Raises:
            UnknownJob: there is no such job.
            NodeMismatch: another node holds it.
            StaleAttempt: it has moved on since this attempt.
            AlreadyTerminal: it has ended otherwise.
        """
        await self.append(
            JobCompleted(
                job_id=request.job_id,
                node_id=request.node_id,
                status=request.status,
                attempt=request.attempt,
                result_json=request.result_json,
                error=request.error,
            )
        )

    async def submit(self, request: SubmitRequest, reply: bool = True) -> Job:
        """Hand in a job that may wait for its node.

        Args:
            request: the job.
            reply: send its outcome to this process (default). Without it, awaiting the job looks the outcome up, which
                takes seconds: use this for jobs whose outcome no client awaits.

        Raises:
            JobConflict: the ``job_id`` was used before, for other content.
            Overloaded: too many jobs wait; try again after ``retry_after_ms``.
            InvalidField: a field is malformed, or ``deadline_ts`` is in the past.
        """
        job_id = self._job_id(request)
        expected = self.results.expect(job_id) if reply else None
        try:
            with self._span(job_id, request) as traceparent:
                answer = await self.append(self._submission(request, job_id, reply, traceparent))
        except BaseException:
            if expected is not None:
                self.results.forget(job_id, expected)
            raise
        if self.partition.source is None:
            self.results.accepted(job_id)
        else:  # it waits to be taken in
            self.results.appended([job_id], answer.event_id)
        if reply and answer.job is not None and answer.job[1] in ENDED:
            await self.results.look_up([job_id])  # submitted before, perhaps by another process
        return Job(job_id, self.results, expected)

    async def submit_many(self, requests: Iterable[SubmitRequest], reply: bool = True) -> list[Job]:
        """Submit many jobs at once. When this returns, the log holds them, and a worker or the next call folds them.
        The dead letters hold each event that the fold refuses (malformed, or the ``job_id`` of another job). Awaiting
        such a job raises ``UnknownJob`` within seconds.

        Args:
            requests: the jobs.
            reply: see :meth:`submit`.

        Raises:
            Overloaded: too many jobs wait. The log may hold some of these jobs. Those with a ``job_id`` may be
                submitted again later without a second effect.
            InvalidField: a payload is too large.
        """
        named = [(request, self._job_id(request)) for request in requests]
        expected = [self.results.expect(job_id) if reply else None for _, job_id in named]
        jobs = [Job(job_id, self.results, future) for (_, job_id), future in zip(named, expected, strict=True)]
        try:
            submissions = []
            for request, job_id in named:
                with self._span(job_id, request) as traceparent:
                    submissions.append(self._submission(request, job_id, reply, traceparent))
            if self.partition.source is None:
                last_id = await append_batch(self.partition, submissions)
                self.results.appended([job.job_id for job in jobs], last_id)
            else:  # an ingress is a stream anyway
                answers = await asyncio.gather(*(self.partition.append_soon(to_wire(event)) for event in submissions))
                for job, answer in zip(jobs, answers, strict=True):
                    self.results.appended([job.job_id], answer.event_id)
        except BaseException:
            for (_, job_id), future in zip(named, expected, strict=True):
                if future is not None:
                    self.results.forget(job_id, future)
            raise
        return jobs

    async def cancel(self, job_id: str, reason: str | None = None) -> None:
        """Cancel a job. A job that waits ends at once. A node that holds the job is asked to stop it.

        Raises:
            UnknownJob: there is no such job.
            AlreadyTerminal: it has ended.
        """
        await self.append(JobCancelled(job_id=job_id, reason=reason))

    async def release_session(self, session_id: str) -> None:
        """End a conversation: its next job, if any, may go to any node."""
        await self.append(SessionReleased(session_id=session_id))

    def _job_id(self, request: DispatchRequest | SubmitRequest) -> str:
        if request.job_id == "":
            raise InvalidField("job_id is empty: leave it out, or give the idempotency key of the job")
        # made here and not from the log's id, so that an append whose reply was lost can be repeated
        job_id = request.job_id or f"{request.session_id}:{secrets.token_hex(8)}"
        scope = "" if self.partition.source is None else f"{self.partition.source}/"
        return job_id if job_id.startswith(scope) else scope + job_id

    def _span(self, job_id: str, request: DispatchRequest | SubmitRequest) -> AbstractContextManager[str | None]:
        pair = request.src_lang, request.tgt_lang
        return submitting(self.partition.keys, job_id, request.session_id, pair, request.traceparent)

    def _submission(self, request: SubmitRequest, job_id: str, reply: bool, traceparent: str | None) -> JobSubmitted:
        return JobSubmitted(
            session_id=request.session_id,
            src_lang=request.src_lang,
            tgt_lang=request.tgt_lang,
            payload_json=self._bounded(request.payload_json),
            job_id=job_id,
            priority=request.priority,
            deadline_ts=request.deadline_ts,
            not_before_ts=request.not_before_ts,
            max_attempts=request.max_attempts,
            affinity=request.affinity,
            traceparent=traceparent,
            reply_to=self.results.client_id if reply else None,
        )

    @staticmethod
    def _bounded(payload_json: str) -> str:
        if not isinstance(payload_json, str):
            raise InvalidField(
                f"payload_json is {type(payload_json).__name__}: give text; encode an object as JSON, bytes as base64"
            )
        # refused here too: a payload of any size would otherwise cross the network and stay in the log
        size = len(payload_json.encode(errors="surrogatepass"))
        if size > LIMITS["payload"]:
            raise InvalidField(
                f"payload_json has {size} bytes: keep it within {LIMITS['payload']}, send a reference instead"
            )
        return payload_json
