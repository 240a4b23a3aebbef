"""redis-py's client without a network: each command is a request that the driver of the coroutine answers.

So the program's own code (a script called by name, a rebuild, a restore) runs as it is, and can be stopped, interleaved
or killed at every command it sends.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Coroutine, Generator
from typing import Any

from redis._parsers.base import BaseParser
from redis.asyncio import Redis
from redis.exceptions import RedisError

from .redis_double.values import ReplyError

Request = tuple[Any, ...]


@types.coroutine
def ask(request: Request) -> Generator[Request, Any, Any]:
    reply = yield request
    return reply


def sent(value: Any) -> Any:
    """An argument as bytes, one character each; numbers as they are."""
    if type(value) is str:
        return value if value.isascii() else value.encode(errors="surrogateescape").decode("latin-1")
    return value.decode("latin-1") if isinstance(value, bytes) else value


def received(reply: Any) -> Any:
    """A reply as ``decode_responses`` gives it."""
    if isinstance(reply, str):
        return reply if reply.isascii() else reply.encode("latin-1").decode(errors="backslashreplace")
    return [received(part) for part in reply] if isinstance(reply, list) else reply


def error_of(problem: ReplyError) -> Exception:
    """The exception that redis-py makes of an error reply."""
    found: Exception = BaseParser.parse_error(str(problem))  # type: ignore[no-untyped-call]
    return found


class Wire(Redis):
    """A client whose commands are asked of the driver."""

    def __init__(self) -> None:
        super().__init__(decode_responses=True, protocol=2)

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        """Ask for one command; its reply goes through redis-py's own parsers."""
        options.pop("keys", None)
        reply = self.received(await ask((*map(sent, args),)))
        parse = self.response_callbacks.get(args[0])
        return parse(reply, **options) if parse and reply is not None else reply

    def received(self, reply: Any) -> Any:
        return received(reply)

    def pipeline(self, transaction: Any = True, shard_hint: Any = None) -> Any:
        """Commands that are sent one after the other: nothing here leans on their coming together."""
        return Queue(self)


class RawWire(Wire):
    """A client whose replies are bytes."""

    def received(self, reply: Any) -> Any:
        return raw(reply)


def raw(reply: Any) -> Any:
    """A reply as it is on the wire."""
    if isinstance(reply, str):
        return reply.encode("latin-1")
    return [raw(part) for part in reply] if isinstance(reply, list) else reply


class Queue:
    """What a pipeline is for those who use it."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._waiting: list[Coroutine[Any, Any, Any]] = []

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *args, **options: self._waiting.append(getattr(self._wire, name)(*args, **options))

    async def execute(self) -> list[Any]:
        return [await self._waiting.pop(0) for _ in range(len(self._waiting))]

    async def __aenter__(self) -> Queue:
        return self

    async def __aexit__(self, *problem: object) -> None:
        for command in self._waiting:
            command.close()


class Procedure:
    """A coroutine of the program that is carried on command by command."""

    def __init__(self, name: str, work: Coroutine[Request, Any, Any]) -> None:
        self.name, self._work = name, work
        self.request: Request | None = None
        self.result: Any = None
        self._resume(lambda: work.send(None))

    def _resume(self, go_on: Callable[[], Request]) -> None:
        try:
            self.request = go_on()
        except StopIteration as end:
            self.request, self.result = None, end.value

    @property
    def done(self) -> bool:
        return self.request is None

    def step(self, perform: Callable[[Request], Any]) -> None:
        """Have the next command performed, and go on to the one behind it.

        Raises:
            Exception: the exception that ends the coroutine.
        """
        assert self.request is not None
        try:
            reply = perform(self.request)
        except RedisError as problem:
            failure = problem
            self._resume(lambda: self._work.throw(failure))
        else:
            self._resume(lambda: self._work.send(reply))

    def kill(self) -> None:
        """Its process is gone."""
        self._work.close()
        self.request = None


def drive(work: Coroutine[Request, Any, Any], perform: Callable[[Request], Any]) -> Any:
    """Carry a coroutine to its end at once."""
    procedure = Procedure("", work)
    while not procedure.done:
        procedure.step(perform)
    return procedure.result
