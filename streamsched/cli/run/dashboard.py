"""``streamsched dashboard``: run the page as a process, with its address, token and signals."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import structlog
import typer

from ...console.stop_signals import stop_signals
from ...console.terminal import UsageProblem, address_of
from ...dashboard.guard import LOCAL, SHORTEST
from ...dashboard.reader import Reader
from ...dashboard.server import serving
from ...ops import logs
from ...sanitize import mask
from ..options import ArchiveDir, LogFormat, Target, command

TOKEN_ENV = "STREAMSCHED_DASHBOARD_TOKEN"
EVERYWHERE = ("", "0.0.0.0", "[::]")

log = structlog.get_logger(__name__)


@command("streamsched dashboard --archive ./archive", without=("patience",))
async def dashboard(
    target: Target,
    bind: Annotated[str, typer.Option(metavar="HOST:PORT", help="Address to listen on.")] = "127.0.0.1:8321",
    archive: ArchiveDir = None,
    token_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="File with the operators' token. [default: STREAMSCHED_DASHBOARD_TOKEN]"),
    ] = None,
    host_name: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Host name that browsers use; may be repeated.")
    ] = None,
    log_format: LogFormat = None,
) -> None:
    """Show the partition in a browser. Now, or at any moment of its history. Read-only without a token.
    Ends on SIGTERM or Ctrl-C."""
    logs.configure(log_format)
    host, port = address_of("--bind", bind)
    token, names = token_of(token_file), names_of(host, tuple(host_name or ()))
    source = Reader(target.settings.url, target.settings.keys, archive)
    source.check()
    with stop_signals() as signals:
        try:
            async with serving(source, host, port, token, names) as bound:
                log.info(
                    "dashboard",
                    url=f"http://{host}:{bound}",
                    server=mask(target.settings.url),
                    actions="with the token" if token else "none: read-only",
                )
                async for _ in signals:
                    break
        except OSError as problem:
            raise UsageProblem(f"--bind {bind}: {problem.strerror or problem}; give another address") from None


def token_of(file: Path | None) -> str | None:
    """Return the operators' token, from a file or else from the environment; ``None`` if there is none.

    Raises:
        UsageProblem: the file cannot be read, or the token is too short.
    """
    where = f"--token-file {file}" if file else TOKEN_ENV
    try:
        token = (file.read_text() if file else os.environ.get(TOKEN_ENV, "")).strip()
    except (OSError, UnicodeDecodeError) as problem:
        raise UsageProblem(f"{where}: cannot be read ({problem}); give a file that holds only the token") from None
    if not token and file is None:
        return None
    if len(token) < SHORTEST or not token.isascii() or not token.isprintable() or " " in token:
        raise UsageProblem(f"{where}: give at least {SHORTEST} ASCII characters, such as from `openssl rand -hex 16`")
    return token


def names_of(host: str, given: tuple[str, ...]) -> frozenset[str]:
    """Return the host names that browsers may use.

    Raises:
        UsageProblem: it listens on every address, and no host name is given.
    """
    if host in EVERYWHERE and not given:
        raise UsageProblem(f"--bind {host}: give the host name that browsers use with --host-name NAME")
    names = {name.lower() for name in given} | set(LOCAL)
    return frozenset(names | ({host.lower()} - set(EVERYWHERE)))
