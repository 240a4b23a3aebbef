"""``streamsched metrics``: the exporter as a process, with its address and its signals."""

from __future__ import annotations

from typing import Annotated

import structlog
import typer

from ...console.stop_signals import stop_signals
from ...console.terminal import UsageProblem, address_of
from ...metrics.exporter import serving
from ...ops import logs
from ...sanitize import mask
from ..options import LogFormat, Target, command

log = structlog.get_logger(__name__)


@command("streamsched metrics --bind 0.0.0.0:8322", without=("patience",))
async def metrics(
    target: Target,
    bind: Annotated[str, typer.Option(metavar="HOST:PORT", help="Address to listen on.")] = "127.0.0.1:8322",
    log_format: LogFormat = None,
) -> None:
    """Serve metrics for Prometheus. Answers GET /metrics, reads state and log, writes nothing; run as many as you like.
    Ends on SIGTERM or Ctrl-C."""
    logs.configure(log_format)
    host, port = address_of("--bind", bind)
    with stop_signals() as signals:
        try:
            async with serving(target.settings.url, target.settings.keys, host, port) as bound:
                log.info("metrics", url=f"http://{host}:{bound}/metrics", server=mask(target.settings.url))
                async for _ in signals:
                    break
        except OSError as problem:
            raise UsageProblem(f"--bind {bind}: {problem.strerror or problem}; give another address") from None
