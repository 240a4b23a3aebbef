"""The demo as a command: played, printed, and judged by its exit code."""

from __future__ import annotations

import sys

from ..traces import TraceError
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
        return 2 if isinstance(problem, TraceError) else 1
    if options.json:
        print(report.to_json().decode())
    else:
        print_report(report)
    return 1 if report.problems() else 0
