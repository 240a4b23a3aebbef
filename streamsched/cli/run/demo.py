"""``streamsched demo``: a fleet at work, with faults, and a check of the log at the end."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ...console.terminal import UsageProblem
from ..options import COMMON, Json, Target, command


@command("streamsched demo --speed 20", without=COMMON)
async def demo(
    target: Target,
    trace: Annotated[
        Path | None, typer.Option(help="Arrivals from a published trace: Mooncake JSONL or Azure CSV.")
    ] = None,
    pairs: Annotated[Path | None, typer.Option(help="Popularity of language pairs: OPUS counts.")] = None,
    churn: Annotated[Path | None, typer.Option(help="Nodes that join and leave: a Bamboo trace.")] = None,
    speed: Annotated[float | None, typer.Option(min=0.001, help="Scales the time of the trace.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the random numbers.")] = None,
    seconds: Annotated[float | None, typer.Option(min=1, help="Duration of the arrivals.")] = None,
    json: Json = False,
) -> int:
    """Watch a fleet at work while its processes are killed. At the end the log shows that no job was lost."""
    from ...demo.present import present
    from ...demo.run import DemoOptions

    options = {"trace": trace, "pairs": pairs, "churn": churn, "speed": speed, "seed": seed, "seconds": seconds}
    given: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
    try:
        chosen = DemoOptions(json=json, **given)
    except ValueError as problem:
        raise UsageProblem(f"--{problem}") from None
    return await present(chosen)
