"""Calls a script by name with named arguments."""

from __future__ import annotations

import hashlib
from functools import cache
from typing import Any, cast

from redis.asyncio import Redis
from redis.exceptions import NoScriptError, RedisError, ResponseError

from ..contract.errors import ERRORS, ServerForbids, error_of
from .composition import compose, keys_of
from .source import sources

DENIED = ("ACL failure in script", "The user executing the script can't")
"""How Valkey and Redis say that the user of a script lacks a right."""


class Script:
    """One script, called by name with the keys and arguments of its header."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.text = compose(name)
        self.sha = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()
        header = sources()[name].header
        self.keys, self.argv = keys_of(sources()[name]), header["ARGV"]
        self.reads = "READS" in header
        """Whether it writes nothing: then a user who may only read may run it, and a replica."""

    def arguments(self, **given: Any) -> list[Any]:
        """Order named arguments as the header states them: ``[numkeys, key…, argument…]``.

        Raises:
            TypeError: a name is missing or not in the header.
        """
        names = [*self.keys, *self.argv]
        if set(names) != set(given):
            raise TypeError(f"{self.name} takes {', '.join(names)}; given were {', '.join(given)}")
        return [len(self.keys), *(given[name] for name in names)]

    async def __call__(self, redis: Redis, **given: Any) -> Any:
        """Run the script; a server that does not know it (restarted, failed over, flushed) is sent the text.

        Raises:
            SchedulerError: the script refused, or the server did; the exception of the wire code.
        """
        arguments = self.arguments(**given)
        only = "_RO" if self.reads else ""
        try:
            try:
                return await cast(Any, redis).execute_command(f"EVALSHA{only}", self.sha, *arguments)
            except NoScriptError:
                return await cast(Any, redis).execute_command(f"EVAL{only}", self.text, *arguments)
        except ResponseError as problem:
            raise scheduler_error(problem) from problem


def scheduler_error(problem: RedisError) -> Exception:
    """Turn a server's error into the exception of its wire code; what is not in the table stays as it is."""
    code, _, detail = str(problem).partition(" ")
    if kind := {"ReadOnlyError": "READONLY", "OutOfMemoryError": "OOM"}.get(type(problem).__name__):
        return error_of(kind, f"{ERRORS[kind].__doc__} (server: {problem})")
    if code in ("OOM", "READONLY", "MISCONF", "NOREPLICAS", "WRONGTYPE"):
        return error_of(code, f"{ERRORS[code].__doc__} (server: {detail})")
    if any(words in str(problem) for words in DENIED):
        return ServerForbids(f"the server says: {problem}")
    return error_of(code, detail) if code in ERRORS else problem


@cache
def script(name: str) -> Script:
    """Return the script ``name``, one of :func:`entries`.

    Raises:
        ScriptError: the Lua sources break their contract.
    """
    return Script(name)
