"""How the programs log: one line per event on stderr, for a person at a terminal, as JSON for everything else."""

from __future__ import annotations

import logging
import sys
from typing import Literal, TextIO

import structlog

Format = Literal["console", "json"]


def configure(style: Format | None = None, level: int = logging.INFO, stream: TextIO | None = None) -> None:
    """Send the logs of this process to stderr; stdout belongs to what a command prints.

    Args:
        style: ``console`` or ``json``; ``None`` (default) means ``console`` if the stream is a terminal.
        level: the least that is logged; ``INFO`` by default.
        stream: where to; ``None`` (default) means stderr.
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
        [structlog.dev.ConsoleRenderer(colors=stream.isatty(), exception_formatter=structlog.dev.plain_traceback)]
        if style == "console"
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(ensure_ascii=False)]
    )
    structlog.configure(
        processors=[*shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(stream),
        cache_logger_on_first_use=True,
    )
