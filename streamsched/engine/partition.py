"""One partition as a program sees it: append and advance, and what to do when the server does not answer."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import anyio
import structlog
from redis.asyncio import Redis
from redis.exceptions import AuthenticationError, MovedError, NoPermissionError, RedisError

from ..connect import tls
from ..connect.about import Identity, identify
from ..connect.client import connect, connections_made, where_is
from ..connect.outage import NO_ANSWER, Backoff, drop_idle_connections, is_away, login_refused
from ..connect.url import of_partition
from ..contract.errors import (
    InvalidField,
    LogWiped,
    PartitionHalted,
    PartitionRebuilding,
    SchedulerError,
    ServerCannotReplicate,
    ServerForbids,
    ServerReadOnly,
    ServerTooOld,
    ServerUnreachable,
    is_of_event,
)
from ..contract.events import Event
from ..contract.keys import Keys
from ..contract.wire import repeatable, to_wire
from .heard import Heard
from .members import Membership
from .replies import Answer, Reply, encoded, halted_by_this_call, hand_over, reply_of, was_trimmed
from .script import script

log = structlog.get_logger(__name__)

BATCH = 256
"""Events one call may fold or decide: 1–4 ms of the server's time."""

BATCH_BYTES = 2**20
"""Bytes of events that travel in one call unless a single event is larger: the server parses them in one go."""

PATIENCE_S = 30.0
"""How long a call goes on trying while the server is away or failing over, or the partition is being rebuilt."""

WHOLE = ("rebuilding", "begin", "done", "rebuilt_ts", "log", "wiped", "forgotten")
"""Fields of the partition's own hash that tell whether its state is whole, since when, and of which log."""

LOSS = "docs/durability.md"
"""Where it says what may be lost, and what to do then."""

RIGHTS = "`streamsched acl ROLE` prints what each role needs"
"""What to do about a server that permits a user too little."""

OLDEST = (7, 0)
"""Redis 7.0 brought ``XGROUP SETID … ENTRIESREAD`` and ``entries-added``, which the gap detector needs."""


class Partition:
    """Appends and advances on one partition, over one connection.

    Appends made in the same moment travel together, in one script call: an append during a call joins the next
    one. A call whose reply was lost is repeated; every event carries an identity (its job, attempt or
    ``request_id``), so the second one changes nothing.
    """

    source: str | None = None
    """The source whose ingress takes the events; ``None``: straight to the log."""

    def __init__(self, redis: Redis, keys: Keys, patience_s: float = PATIENCE_S) -> None:
        self.redis, self.keys, self.patience_s = redis, keys, patience_s
        self.membership = Membership(redis, keys)
        self._streams = {name: keys(name) for name in ("events", "heartbeats", "dead")}
        self._queue: list[tuple[bytes, asyncio.Future[Answer]]] = []
        self._sender: asyncio.Task[None] | None = None
        self.heard = Heard()
        self._known = ""  # the last event that the server is known to have had
        self._permitted = False  # whether this user may do what a call does
        self._made = 0  # connections when that was known

    async def check_server(self) -> None:
        """Look at the server before the first call. A server that does not tell its version is taken as it is.

        Raises:
            ServerTooOld: it is older than Redis 7.0.
            ServerUnreachable: it did not answer within the patience of this partition.
        """
        server: Identity = await self.patiently(lambda: identify(self.redis))
        if server.is_before(*OLDEST):
            raise ServerTooOld(f"the server is version {server.version}: use Redis 7.0, Valkey 7.2 or newer")

    async def patiently(self, call: Any) -> Any:
        """Make ``call()`` until it goes through, waiting out a server that is away, a failover and a rebuild.

        Raises:
            ServerUnreachable: the patience ran out while the server was away.
            ServerCannotReplicate: it ran out while the server lacked its replicas.
            PartitionHalted: this very call halted the partition. It is not made again: it would halt it again.
            SchedulerError: the call was refused.
        """
        deadline = anyio.current_time() + self.patience_s
        backoff = Backoff()
        while True:
            try:
                return await call()
            except (PartitionRebuilding, PartitionHalted, ServerCannotReplicate) as problem:
                if halted_by_this_call(problem) or anyio.current_time() > deadline:
                    raise
            except ServerReadOnly:
                # a server that took writes from us has been demoted: its address may soon be that of the new master
                if not self._known or anyio.current_time() > deadline:
                    raise
                await drop_idle_connections(self.redis)
            except AuthenticationError as problem:
                raise ServerUnreachable(login_refused(str(problem))) from problem
            except NoPermissionError as problem:
                raise ServerForbids(f"the server says: {problem}; {RIGHTS}") from problem
            except MovedError as problem:
                where = where_is(self.redis)
                raise ServerUnreachable(f"{where} is one of a cluster, give redis+cluster://{where}") from problem
            except (RedisError, OSError) as problem:
                if not is_away(problem):
                    raise
                if not self._known and (why := tls.refusal(problem)):  # later on a new certificate is waited for
                    raise ServerUnreachable(f"{where_is(self.redis)}: {why}") from problem
                if anyio.current_time() > deadline:
                    reason = f"{problem}{tls.hint(problem)}"
                    where = where_is(self.redis)
                    raise ServerUnreachable(f"{NO_ANSWER} {where} for {self.patience_s:g} s: {reason}") from problem
            await backoff.wait()

    async def _call(self, name: str, **given: Any) -> Any:
        """Run one of the scripts that move the log; its reply ends with whether the log is in an archive, its
        first and its last event."""
        if not self._permitted:
            await self._try_rights()
        nonce = secrets.token_hex(4)
        given |= self._streams | {"prefix": self.keys.prefix, "nonce": nonce}
        given |= {"known_log": self.heard.log, "archived": self.heard.archived}
        reply = await script(name)(self.redis, **given)
        self.heard.archived, self.heard.log = reply[-3:-1]
        made = connections_made(self.redis)
        if made == self._made or await self._look_back():
            self._made, self._known = made, reply[-1]
        return reply

    async def _try_rights(self) -> None:
        """See whether this user may do what a call does: one that lacks a right half-way would halt the partition.

        Raises:
            ServerForbids: the user lacks a right, or the server lacks a command; the text names the command.
        """
        given = {"events": self.keys("events"), "prefix": self.keys.prefix}
        command, known = await script("try_rights")(self.redis, **given)
        if command and known:
            raise ServerForbids(f"{command} is not permitted to this user; {RIGHTS}")
        if command:
            raise ServerForbids(f"the server has no command {command}, which the scheduler needs: use another server")
        self._permitted = True

    async def _look_back(self) -> bool:
        """Check that the log still holds its last known event: a failover or a crash may have lost its end. Returns
        whether the server answered."""
        if self._known in ("", "0-0"):
            return True
        try:
            # no transaction: a server that is out of memory refuses even to read in one
            async with self.redis.pipeline(transaction=False) as pipe:
                pipe.xrange(self.keys("events"), self._known, self._known)
                pipe.xinfo_stream(self.keys("events"))
                found, about = await pipe.execute(raise_on_error=False)
        except (RedisError, OSError):
            return False  # the next call looks
        if not found and not was_trimmed(about, self._known):
            log.error("the log has lost its end, and with it what was acknowledged", lost=self._known, see=LOSS)
        return True

    async def read_state(self, *reads: Callable[[Any], Any]) -> list[Any]:
        """Read from a state that is whole: neither torn nor being rebuilt, before the first read and behind the last.

        Args:
            reads: each queues one command on the pipeline that it is given.

        Returns the replies, in order.

        Raises:
            PartitionHalted, PartitionRebuilding: the state did not become whole within the patience of this partition.
            LogWiped: the server has lost the log that this process knows, and that an archive holds.
            ServerUnreachable, SchedulerError: see :meth:`patiently`.
        """

        async def read() -> list[Any]:
            # no transaction: a server that is out of memory refuses even to read in one
            async with self.redis.pipeline(transaction=False) as pipe:
                pipe.hmget(self.keys("meta"), WHOLE)
                for queue in reads:
                    queue(pipe)
                pipe.hmget(self.keys("meta"), WHOLE)
                before, *replies, behind = await pipe.execute()
            for rebuilding, begin, done, _, first, wiped, forgotten in (before, behind):
                if wiped is not None or (self.heard.archived and self.heard.is_lost(first, forgotten)):
                    raise LogWiped.of(wiped or self.heard.log, first)
                if rebuilding is not None:
                    raise PartitionRebuilding("the state is being rebuilt: it is read when it is whole")
                if begin != done:
                    raise PartitionHalted(f"a call was torn at {begin}; a running worker rebuilds the state")
            if before[3] != behind[3]:
                raise PartitionRebuilding("the state was rebuilt meanwhile: it is read again")
            return replies

        replies: list[Any] = await self.patiently(read)
        return replies

    def now_ts(self) -> float | None:
        """The scheduler's clock, ms since the epoch, as it was last heard; ``None`` if it was not."""
        return self.heard.now_ts()

    async def advance(self, batch: int = BATCH) -> Reply:
        """Fold new events and make the decisions that are due, at most ``batch`` events.

        Raises:
            PartitionHalted: the state is damaged; a worker rebuilds it.
            PartitionRebuilding: it is being rebuilt.
            LogGap: entries of the log vanished before they were folded.
            LogWiped: the server has lost the log that this process knows, and that an archive holds.
            ServerReadOnly: a replica answered.
            ServerCannotReplicate: the server lacks the replicas that it is to have.
            RedisError: the server is away. The call may be repeated freely.
        """
        reply = reply_of(await self._call("advance", batch=batch))
        await self.membership.say(reply.now_ts)
        return reply

    async def take_in(self, sources: Iterable[str], batch: int = BATCH) -> Reply:
        """Advance, and take in what waits in the ingress streams of some sources: their names, a few dozen at most.

        Raises:
            SchedulerError, RedisError: see :meth:`advance`.
        """
        return reply_of(await self._call("ingest", batch=batch, speakers=" ".join(sources)))

    async def append(self, event: Event) -> Answer:
        """Append an event, have it folded, and return what the scheduler said.

        Raises:
            SchedulerError: the event was refused; it is in the log, and a dead letter with the same code.
            ServerUnreachable: the server stayed away for the patience of this partition; the event may have arrived.
                To be able to append it again, give it a ``request_id`` before the first time.
        """
        return await self.append_soon(to_wire(event))

    async def insist(self, event: Event, given_up: Callable[[], bool]) -> Answer:
        """Append an event until the scheduler has judged it, however long partition, server or rights are in trouble.

        Args:
            event: what must not get lost, such as the end of a job.
            given_up: asked after each failure; once it is true, the failure is raised.

        Raises:
            SchedulerError: the event was refused; or, once ``given_up()`` is true, why it could not be judged.
            RedisError, OSError: the same, where the server's error has no code of the contract.
        """
        backoff, flat = Backoff(), repeatable(to_wire(event))
        while True:
            try:
                return await self.append_soon(flat)
            except (SchedulerError, RedisError, OSError) as problem:
                if is_of_event(problem) or halted_by_this_call(problem) or given_up():
                    raise
                if not backoff.failures:
                    log.warning("an event waits until it can be appended", type=flat[1], problem=str(problem))
            await backoff.wait()

    def append_soon(self, fields: list[str]) -> asyncio.Future[Answer]:
        """Let an event given flat, ``[type, …, field, value, …]``, travel with the next call.

        Returns a future that holds what :meth:`append` returns or raises: many appends need no task for each.
        They travel in the order in which they were given.
        """
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        fields = repeatable(fields)
        try:
            own = encoded(fields)  # here, so that text without a form in UTF-8 harms no other event
        except InvalidField as problem:
            future.set_exception(problem)
            return future
        self._queue.append((own, future))
        if self._sender is None:
            self._sender = asyncio.create_task(self._send())
        return future

    async def _send(self) -> None:
        """Send what has gathered, call after call, until nothing is left."""
        try:
            while self._queue:
                taken = self._take()
                try:
                    await self.patiently(partial(self._append_call, taken))
                except Exception as problem:  # of any kind: those who wait must hear of it
                    if halted_by_this_call(problem) and len(taken) > 1:
                        await self._send_alone(taken)
                    else:
                        _fail(taken, problem)
        finally:
            self._sender = None

    async def _send_alone(self, taken: list[tuple[bytes, asyncio.Future[Answer]]]) -> None:
        """Send each event of a call that halted the partition once more, alone: one of them was the cause, or none.

        Those that did arrive are known by their identities. Where two of them halt the partition again, no event is the
        cause, and the others are not tried.
        """
        broken = 0
        for one in taken:
            try:
                await self.patiently(partial(self._append_call, [one]))
            except Exception as problem:
                broken += halted_by_this_call(problem)
                _fail(taken if broken > 1 else [one], problem)

    def _take(self) -> list[tuple[bytes, asyncio.Future[Answer]]]:
        """Take what one call may carry off the queue: at least one event, within :data:`BATCH` and its bytes."""
        size, count = 0, 0
        while count < min(BATCH, len(self._queue)) and (count == 0 or size + len(self._queue[count][0]) <= BATCH_BYTES):
            size += len(self._queue[count][0])
            count += 1
        taken, self._queue = self._queue[:count], self._queue[count:]
        return taken

    async def _append_call(self, taken: list[tuple[bytes, asyncio.Future[Answer]]]) -> None:
        """Send events until each is answered; those whose caller has gone meanwhile are not sent once more."""
        while waiting := [one for one in taken if not one[1].done()]:
            own = b"[" + b",".join(encoded for encoded, _ in waiting) + b"]"
            more, now, answers, *_ = await self._call("append", batch=BATCH, own=own)
            self.heard.note_time(int(now))
            await self.membership.say(int(now))
            if more == 1:  # most have to wait for what is ahead of them to be folded
                for position, *answer in answers:
                    hand_over(waiting[position - 1][1], answer)
                continue
            for (_, future), answer in zip(waiting, answers, strict=True):
                hand_over(future, answer)
            return

    async def close(self) -> None:
        """Send what is still queued, and let go of the connection."""
        if self._sender is not None:
            await asyncio.wait([self._sender], timeout=self.patience_s)
        await self.membership.leave()
        await self.redis.aclose()


def _fail(taken: list[tuple[bytes, asyncio.Future[Answer]]], problem: Exception) -> None:
    """Hand an error to each caller that still waits."""
    if halted_by_this_call(problem):
        problem = PartitionHalted(
            f"{problem.detail}; it is not made again. Its event may be in the log, and take effect when a worker "
            "has rebuilt the state: look at what it speaks of before you append it again, and report this error"
        )
    for _, future in taken:
        if not future.done():
            future.set_exception(problem)


@asynccontextmanager
async def open_partition(
    url: str, keys: Keys, patience_s: float = PATIENCE_S, kind: Callable[[Redis, Keys, float], Partition] = Partition
) -> AsyncIterator[Partition]:
    """Connect to a server, look at its version, and give the connection back at the end.

    Raises:
        ServerTooOld, ServerUnreachable: see :meth:`Partition.check_server`.
    """
    partition = kind(connect(of_partition(url, keys.partition)), keys, patience_s)
    try:
        await partition.check_server()
        yield partition
    finally:
        with anyio.CancelScope(shield=True):
            await partition.close()
