"""Bugs on purpose: each takes one guard out of the product, in the tests alone, and some check must notice.

A row says what stands where in a source of the product; a text that stands there no more, or twice, is an error: no row
goes on testing nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.machinery import SourceFileLoader
from importlib.util import find_spec
from pathlib import Path
from types import CodeType
from typing import Any
from unittest import mock

from streamsched.engine.script import script
from streamsched.engine.source import Source, lua_root, sources


@dataclass(frozen=True)
class Bug:
    """One guard, taken away."""

    guard: str
    """What it is for."""
    fault: str
    """What happens without it."""
    where: str
    """The Lua source, or the dotted name of a module or of what is to be replaced in one."""
    was: str = ""
    becomes: str = ""
    instead: Callable[..., Any] | None = None
    """In place of a Python name."""

    @contextmanager
    def planted(self) -> Iterator[None]:
        """Run without the guard.

        Raises:
            LookupError: what it is to replace is not there any more.
        """
        if self.instead is not None:
            with mock.patch(self.where, self.instead):
                yield
            return
        source = sources()[self.where]
        body = source.body
        self.plant()
        try:
            yield
        finally:
            source.body = body
            script.cache_clear()

    def plant(self) -> None:
        """Take the guard out of this process for good, before its module is imported.

        Raises:
            LookupError: what it is to replace is not there any more, or was imported already.
        """
        if self.where in sources():
            sources()[self.where].body = Source(self.where, self.changed()).body
            script.cache_clear()
            return
        if self.where in sys.modules:
            raise LookupError(f"{self.where} was imported before a bug was planted in it")
        loader: Any = SourceFileLoader
        get_code = loader.get_code

        def edited(loader: Any, fullname: str) -> CodeType | None:
            if fullname != self.where:
                return get_code(loader, fullname)  # type: ignore[no-any-return]
            return compile(self.changed(), loader.path, "exec")

        loader.get_code = edited

    def changed(self) -> str:
        """Return the source without the guard.

        Raises:
            LookupError: what it is to replace is not there any more.
        """
        text = str(self._path().read_text())
        if (times := text.count(self.was)) != 1:
            raise LookupError(f"{self.where} holds {self.was!r} {times} times: mend the row {self.guard!r}")
        return text.replace(self.was, self.becomes)

    def _path(self) -> Any:
        if self.where not in sources():
            spec = find_spec(self.where)
            assert spec is not None, f"there is no {self.where}"
            return Path(str(spec.origin))
        folder = "fold/" if {"FIELDS", "FACT"} & set(sources()[self.where].header) else ""
        return lua_root().joinpath(f"{folder}{self.where.replace('.', '_')}.lua")
