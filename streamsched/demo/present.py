"""The demo as a command: played, printed, and judged by its exit code."""

from __future__ import annotations

import sys

from ..console.terminal import OK, REFUSED, USAGE
from ..workload.traces import TraceError
from .run import DemoFailed, DemoOptions, run_demo
from .screen import print_report


async def present(options: DemoOptions) -> int:
    """Play the demo, print its report, and return the exit code: 0 if it went well, 1 if something is lost, completed
    twice or differs, 2 if a file that was given cannot be read.
    """
    try:
        report = await run_demo(options)
    except (TraceError, DemoFailed) as problem:
        print(f"streamsched: {problem}", file=sys.stderr)
        return USAGE if isinstance(problem, TraceError) else REFUSED
    if options.json:
        print(report.to_json().decode())
    else:
        print_report(report)
    return REFUSED if report.problems() else OK
