"""``streamsched dashboard``: the page as a process, with its address, its token and its signals."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import anyio
import msgspec
import structlog

from ...console.terminal import UsageProblem, address_of
from ...dashboard.guard import LOCAL, SHORTEST
from ...dashboard.reader import Source
from ...dashboard.server import serving
from ...ops import logs
from ...ops.settings import Settings
from ...sanitize import mask

TOKEN_ENV = "STREAMSCHED_DASHBOARD_TOKEN"
EVERYWHERE = ("", "0.0.0.0", "[::]")

log = structlog.get_logger(__name__)


class DashboardOptions(msgspec.Struct, kw_only=True, frozen=True):
    """What ``streamsched dashboard`` was asked for."""

    bind: str
    archive: Path | None
    token_file: Path | None
    host_names: tuple[str, ...]


def token_of(file: Path | None) -> str | None:
    """Return the operators' token: of a file, else of the environment; ``None`` if there is none.

    Raises:
        UsageProblem: the file cannot be read, or the token is too short.
    """
    where = f"--token-file {file}" if file else TOKEN_ENV
    try:
        token = (file.read_text() if file else os.environ.get(TOKEN_ENV, "")).strip()
    except (OSError, UnicodeDecodeError) as problem:
        raise UsageProblem(f"{where}: cannot be read ({problem}); give a file that holds the token alone") from None
    if not token and file is None:
        return None
    if len(token) < SHORTEST or not token.isascii() or not token.isprintable() or " " in token:
        raise UsageProblem(f"{where}: give at least {SHORTEST} ASCII characters, of `openssl rand -hex 16` say")
    return token


def names_of(host: str, given: tuple[str, ...]) -> frozenset[str]:
    """Return the names under which browsers may reach the dashboard.

    Raises:
        UsageProblem: it is bound to every address, and nobody said under which name it is reached.
    """
    if host in EVERYWHERE and not given:
        raise UsageProblem(f"--bind {host}: say with --host-name NAME under which name browsers reach it")
    names = {name.lower() for name in given} | set(LOCAL)
    return frozenset(names | ({host.lower()} - set(EVERYWHERE)))


async def show(settings: Settings, options: DashboardOptions, style: logs.Format | None) -> None:
    """Serve the dashboard until SIGTERM or Ctrl-C.

    Raises:
        UsageProblem: an option cannot be used, or the address is taken.
        ArchiveDamaged: the archive cannot be read.
    """
    logs.configure(style)
    host, port = address_of("--bind", options.bind)
    token, names = token_of(options.token_file), names_of(host, options.host_names)
    source = Source(settings.url, settings.keys, options.archive)
    source.check()
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        try:
            async with serving(source, host, port, token, names) as bound:
                log.info(
                    "dashboard",
                    url=f"http://{host}:{bound}",
                    server=mask(settings.url),
                    actions="with the token" if token else "none: read-only",
                )
                async for _ in signals:
                    break
        except OSError as problem:
            raise UsageProblem(f"--bind {options.bind}: {problem.strerror or problem}; give another address") from None
