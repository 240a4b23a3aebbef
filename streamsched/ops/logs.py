"""How the programs log: one line an event on stderr, as text at a terminal, otherwise as JSON.

Log texts may hold clients' input and server errors: secrets are masked, and control characters are removed.
"""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import MutableMapping
from typing import Any, Literal, TextIO

import structlog

from ..sanitize import mask, one_line, visible, visible_json

Format = Literal["console", "json"]


def configure(style: Format | None = None, level: int = logging.INFO, stream: TextIO | None = None) -> None:
    """Send the logs of this process to stderr; stdout is for the command's output.

    Args:
        style: ``console`` or ``json``; ``None`` (default) means ``console`` if the stream is a terminal.
        level: the lowest level logged; ``INFO`` by default.
        stream: the output; ``None`` (default) means stderr.
    """
    stream = stream or sys.stderr
    if style is None:
        style = "console" if stream.isatty() else "json"
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    last: list[structlog.typing.Processor] = (
        [_readable, structlog.dev.ConsoleRenderer(colors=stream.isatty(), exception_formatter=_traceback)]
        if style == "console"
        else [
            structlog.processors.format_exc_info,
            _masked,
            structlog.processors.JSONRenderer(ensure_ascii=False),
            _printable,
        ]
    )
    structlog.configure(
        processors=[*shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(stream),
        cache_logger_on_first_use=True,
    )


def _readable(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return {name: one_line(mask(value)) if isinstance(value, str) else value for name, value in event.items()}


def _masked(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return {name: mask(value) if isinstance(value, str) else value for name, value in event.items()}


def _printable(logger: Any, method: str, rendered: Any) -> str:
    return visible_json(rendered)


def _traceback(out: TextIO, exc_info: Any) -> None:
    buffer = io.StringIO()
    structlog.dev.plain_traceback(buffer, exc_info)
    out.write(visible(mask(buffer.getvalue())))
