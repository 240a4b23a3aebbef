"""The pages and their requests, over HTTP."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, cast

import anyio
import msgspec
from redis.exceptions import RedisError
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from ..contract.config import DEFAULTS
from ..contract.entries import position
from ..contract.errors import InvalidField, OutsideLog, SchedulerError, ServerUnreachable
from ..engine.partition import open_partition
from ..history.search import latest_rows
from ..server.embedded import ServerDidNotStart
from .actions import action_of, carry_out
from .details import about
from .guard import Guard, Operators
from .log_index.filtered_history import FilteredHistory
from .log_index.index import END, KINDS
from .watcher import CHARTS_MS, Watcher

PAGE = Path(__file__).resolve().parent / "page"

VIEWERS = 200
"""Pages that may be live at the same time."""

BODY = 65_536
"""Bytes of a request."""

BINS = 600
"""Steps that the whole history is shown in."""

QUIET_S = 10.0
"""Longest silence on a live page, so that it notices a dead connection."""

READERS = 2
"""Stories that are read at the same time."""

PATIENCE_S = 5.0

Endpoint = Callable[[Request], Awaitable[Response]]


def create_app(watcher: Watcher, token: str | None, hosts: frozenset[str]) -> Starlette:
    """Return the application.

    Args:
        watcher: what it shows; run and closed with the application.
        token: what operators show; ``None`` makes every page read-only.
        hosts: names under which browsers reach it.
    """
    api = Api(watcher, Operators(token))

    @contextlib.asynccontextmanager
    async def life(app: Starlette) -> AsyncIterator[None]:
        async with anyio.create_task_group() as group:
            group.start_soon(watcher.run)
            yield
            watcher.close()
        await watcher.source.close()

    routes = [
        Route("/", api.index),
        Route("/api/live", api.live),
        *(Route(f"/api/{name}", answered(endpoint)) for name, endpoint in api.questions.items()),
        Route("/api/act", answered(api.act), methods=["POST"]),
        Mount("/page", StaticFiles(directory=PAGE)),
    ]
    middleware = [Middleware(Guard, hosts=hosts), Middleware(GZipMiddleware, minimum_size=1000, compresslevel=5)]
    return Starlette(routes=routes, middleware=middleware, lifespan=life)


def as_json(value: Any, status: int = 200) -> Response:
    """Return an answer."""
    return Response(msgspec.json.encode(value), status, media_type="application/json")


STATUS: tuple[tuple[type[Exception], int], ...] = (
    (InvalidField, 400),
    (OutsideLog, 404),
    (ServerUnreachable, 503),
    (SchedulerError, 409),
    (ServerDidNotStart, 503),
    (RedisError, 503),
    (OSError, 503),
)


class NotAllowed(Exception):
    """The request is refused before it is looked at."""

    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(detail)
        self.status, self.code, self.detail = status, code, detail


def answered(endpoint: Endpoint) -> Endpoint:
    """Turn an exception into an error answer."""

    async def answer(request: Request) -> Response:
        try:
            return await endpoint(request)
        except NotAllowed as problem:
            return as_json({"code": problem.code, "detail": problem.detail}, problem.status)
        except (SchedulerError, ServerDidNotStart, RedisError, OSError) as problem:
            status = next(status for kind, status in STATUS if isinstance(problem, kind))
            known = isinstance(problem, SchedulerError)
            code = cast(SchedulerError, problem).code if known else "UNREACHABLE"
            return as_json({"code": code, "detail": getattr(problem, "detail", str(problem))}, status)

    return answer


def number(request: Request, name: str, default: int, least: int, most: int) -> int:
    """Return a whole number of the query.

    Raises:
        InvalidField: it is none, or out of its bounds; the text names it.
    """
    text = request.query_params.get(name, str(default))
    if not text.isascii() or not text.isdigit() or len(text) > 20 or not least <= int(text) <= most:
        raise InvalidField(f"{name}={text[:40]}: give a whole number from {least} to {most}")
    return int(text)


def one_of(request: Request, name: str, allowed: tuple[str, ...]) -> str:
    """Return a word of the query.

    Raises:
        InvalidField: it is not among those allowed; the text names it.
    """
    text = request.query_params.get(name, "")
    if text not in allowed:
        raise InvalidField(f"{name}={text}: give one of {', '.join(allowed)}")
    return text


class Api:
    """The requests of a page."""

    def __init__(self, watcher: Watcher, operators: Operators) -> None:
        self.watcher, self.operators = watcher, operators
        self._readers = anyio.Semaphore(READERS)
        self.questions: dict[str, Endpoint] = {
            "who": self.who,
            "moment": self.moment,
            "timeline": self.timeline,
            "next": self.next,
            "log": self.log,
            "about": self.about,
        }

    async def index(self, request: Request) -> Response:
        return FileResponse(PAGE / "index.html")

    async def who(self, request: Request) -> Response:
        """Say whether there are operators, whether this is one, and what they may do."""
        return as_json(
            {
                "operators": self.operators.exist,
                "operator": await self.operators.include(request),
                # without fold_version: `streamsched upgrade` sees first that no process is too old
                "defaults": {name: value for name, value in DEFAULTS.items() if name != "fold_version"},
            }
        )

    async def live(self, request: Request) -> Response:
        """Send what a live page shows, and each change, as server-sent events."""
        if self.watcher.viewers >= VIEWERS:
            return as_json({"code": "BUSY", "detail": f"{VIEWERS} pages are open already: close one"}, 503)
        gen, _, rev = request.headers.get("last-event-id", "").partition("-")
        seen = int(rev) if rev.isascii() and rev.isdigit() and len(rev) < 16 else 0
        return StreamingResponse(self._events(gen, seen), media_type="text/event-stream")

    async def _events(self, gen: str, rev: int) -> AsyncIterator[bytes]:
        watcher = self.watcher
        with watcher.viewer():
            yield b"retry: 1000\n\n"
            while not watcher.closing:
                if await watcher.changed(gen, rev, QUIET_S):
                    message = watcher.board.message(gen, rev)
                    gen, rev = message.gen, message.rev
                    yield b"id: %s-%d\ndata: %s\n\n" % (gen.encode(), rev, message.text)
                else:
                    yield b": still here\n\n"

    async def moment(self, request: Request) -> Response:
        """Show a moment of the past, or how it differs from what the page shows already."""
        until = await self._within(request)
        span_ms = number(request, "span", CHARTS_MS, 1000, 10**12)
        gen, rev = request.query_params.get("gen", ""), number(request, "rev", 0, 0, 2**53)
        message = await self.watcher.moments.show(until, span_ms, gen, rev)
        return Response(message.text, media_type="application/json")

    async def _within(self, request: Request) -> str:
        """Return the event of a moment; of a time outside the history the event that is nearest to it."""
        at = request.query_params.get("at", "")
        if at.isascii() and at.isdigit() and len(at) <= 20:
            span = await self.watcher.history().span()
            if span.count and not position(span.first)[0] <= int(at) < position(span.last)[0]:
                return span.first if int(at) < position(span.first)[0] else span.last
        until = await self._until(request)
        assert until is not None
        return until

    async def _until(self, request: Request, needed: bool = True) -> str | None:
        """Return the event up to which a question looks; ``None`` where it is about now.

        Raises:
            OutsideLog: it lies outside the history.
            InvalidField: it is missing.
        """
        at = request.query_params.get("at", "")
        if not at and needed:
            raise InvalidField("at is missing: give an id, or a time in ms or ISO 8601")
        return await self.watcher.history().id_at(at) if at else None

    async def timeline(self, request: Request) -> Response:
        """Show a stretch of the history, the whole of it if no other is named, in a few hundred steps."""
        index = self.watcher.index
        first, last = position(index.first)[0], position(index.last)[0]
        begin = number(request, "from", first, 0, 10**14)
        end = max(begin + 1, number(request, "to", last, 0, 10**14))
        return as_json({"first": first, "last": last, **index.series_since(begin).between(begin, end, BINS)})

    async def next(self, request: Request) -> Response:
        """Find the next loss, requeue or dead letter before or behind a moment."""
        kind = one_of(request, "kind", KINDS)
        back = number(request, "back", 0, 0, 1)
        until = await self._until(request)
        assert until is not None
        return as_json({"id": self.watcher.index.neighbour(kind, until, bool(back))})

    async def log(self, request: Request) -> Response:
        """Search the log backwards from a moment."""
        limit = number(request, "limit", 100, 1, 500)
        until = await self._until(request, needed=False) or END
        wanted = request.query_params.get("match", "")
        if len(wanted) > 200:
            raise InvalidField("match is longer than 200 characters: shorten it")
        async with self._readers:
            found = await latest_rows(self._lens(END), until, wanted, limit)
        return as_json({"rows": found.rows, "behind": found.behind})

    def _lens(self, until: str) -> FilteredHistory:
        return FilteredHistory(self.watcher.history(), self.watcher.index, until)

    async def about(self, request: Request) -> Response:
        """Return the details of a job, a node or a session."""
        kind, name = one_of(request, "kind", ("job", "node", "session")), request.query_params.get("id", "")
        if not 0 < len(name) <= 600:
            raise InvalidField("id is missing or too long: name a job, node or session")
        until, operator = await self._until(request, needed=False), await self.operators.include(request)
        async with self._readers:
            if until is None:
                details = await about(self.watcher.source.redis, self._lens(END), kind, name, operator)
            else:
                async with self.watcher.moments.at(until) as stage:
                    details = await about(stage.scratch.redis, self._lens(until), kind, name, operator)
        if details is None:
            raise OutsideLog(f"{kind} {name!r} is unknown at that moment")
        return as_json(details)

    async def act(self, request: Request) -> Response:
        """Perform an operator's action."""
        if not self.operators.exist:
            raise NotAllowed(403, "READ_ONLY", "this dashboard is read-only: start it with a token")
        if not await self.operators.include(request):
            raise NotAllowed(401, "TOKEN", "this needs the operator's token")
        if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
            raise InvalidField("content-type: send application/json")
        action = action_of(await _body(request))
        source = self.watcher.source
        async with open_partition(source.url, source.keys, PATIENCE_S) as partition:
            return as_json(await carry_out(partition, source.raw, action))


async def _body(request: Request) -> bytes:
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > BODY:
            raise InvalidField(f"the request is longer than {BODY} bytes: shorten it")
    return body
