"""Access control: no other site, no rebound name, and changes only with the token."""

from __future__ import annotations

import hashlib
import hmac
from urllib.parse import urlsplit

import anyio
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOCAL = ("127.0.0.1", "localhost", "[::1]")

SHORTEST = 16
"""Characters of a token: fewer could be guessed."""

WRONG_S = 1.0
"""How long the answer to a wrong token takes; an address gets such answers one after the other."""

HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}


def refusal_of(headers: Headers, method: str, path: str, hosts: frozenset[str]) -> tuple[str, str] | None:
    """Return the code and text of what is wrong with where a request comes from, or ``None``.

    A page of another site may send requests here from its visitor's browser. By its own name it gives itself away in
    ``Origin`` and ``Sec-Fetch-Site``; by a name that it has pointed at this address (DNS rebinding), in ``Host``.
    """
    host = headers.get("host", "").lower()
    name = host.rpartition(":")[0] if not host.endswith("]") and ":" in host else host
    if name not in hosts:
        return "HOST", f"this dashboard does not answer as {name or 'no name'!r}: start it with --host-name {name}"
    origin = headers.get("origin")
    if origin is not None and urlsplit(origin).netloc.lower() != host:
        return "CROSS_SITE", "the request comes from another site: open the dashboard itself"
    visited = headers.get("sec-fetch-mode") == "navigate" and method == "GET" and not path.startswith("/api/")
    if headers.get("sec-fetch-site", "none") not in ("same-origin", "none") and not visited:
        return "CROSS_SITE", "the request comes from another site: open the dashboard itself"
    return None


class Guard:
    """Refuses cross-site requests, and adds the security headers to every answer.

    Args:
        app: what is guarded.
        hosts: names under which browsers reach it, in lower case.
    """

    def __init__(self, app: ASGIApp, hosts: frozenset[str]) -> None:
        self.app, self.hosts = app, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                headers.setdefault("cache-control", "no-cache" if scope["path"].startswith("/page/") else "no-store")
            await send(message)

        wrong = refusal_of(Headers(scope=scope), scope["method"], scope["path"], self.hosts)
        if wrong is not None:
            answer = JSONResponse({"code": wrong[0], "detail": wrong[1]}, 403)
            await answer(scope, receive, guarded)
            return
        await self.app(scope, receive, guarded)


class Operators:
    """Checks the operators' token.

    Args:
        token: the token; ``None`` makes the dashboard read-only.
    """

    def __init__(self, token: str | None) -> None:
        self._digest = hashlib.sha256(token.encode()).digest() if token else None
        self._brakes: dict[str, anyio.Lock] = {}  # by address, of those that wait for an answer

    @property
    def exist(self) -> bool:
        """Whether there is a token, so that changes are possible."""
        return self._digest is not None

    async def include(self, request: Request) -> bool:
        """Return whether a request holds the token; a wrong one gets a slow answer."""
        scheme, _, shown = request.headers.get("authorization", "").partition(" ")
        if not shown or scheme.lower() != "bearer":
            return False
        digest = hashlib.sha256(shown.encode()).digest()
        if self._digest is not None and hmac.compare_digest(digest, self._digest):
            return True
        address = request.client.host if request.client else ""
        brake = self._brakes.setdefault(address, anyio.Lock())
        try:
            async with brake:
                await anyio.sleep(WRONG_S)
        finally:
            if not brake.locked():
                self._brakes.pop(address, None)
        return False
