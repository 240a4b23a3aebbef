"""``streamsched metrics``: the exporter as a process, with its address and its signals."""

from __future__ import annotations

import signal

import anyio
import structlog

from ...console.terminal import UsageProblem, address_of
from ...metrics.exporter import serving
from ...ops import logs
from ...ops.settings import Settings
from ...sanitize import mask

log = structlog.get_logger(__name__)


async def export(settings: Settings, bind: str, style: logs.Format | None) -> None:
    """Serve the metrics until SIGTERM or Ctrl-C.

    Raises:
        UsageProblem: the address is malformed or taken.
    """
    logs.configure(style)
    host, port = address_of("--bind", bind)
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        try:
            async with serving(settings.url, settings.keys, host, port) as bound:
                log.info("metrics", url=f"http://{host}:{bound}/metrics", server=mask(settings.url))
                async for _ in signals:
                    break
        except OSError as problem:
            raise UsageProblem(f"--bind {bind}: {problem.strerror or problem}; give another address") from None
