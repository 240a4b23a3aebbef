"""What flows through the partition, drawn over the last minutes."""

from __future__ import annotations

from typing import Any

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.widgets import Sparkline, Static

CHARTS = {
    "submitted": "submitted",
    "waiting": "waiting",
    "dispatched": "dispatched",
    "finished": "finished",
    "failed": "failed",
    "p50": "wait, p50",
}
"""What is drawn, as the dashboard's charts name it, each with its title."""

FLOWS = ("submitted", "dispatched", "finished", "failed")
"""Those that count jobs in each step of time."""

WIDE = ("dispatched", "failed")
"""Those that a narrow terminal leaves out."""


class Charts(Horizontal):
    """Small charts beside each other, each with what it comes to now."""

    def compose(self) -> ComposeResult:
        for name in CHARTS:
            with Vertical(classes="wide" if name in WIDE else ""):
                yield Static(id=f"{name}-now")
                yield Sparkline(id=name)

    def draw(self, charts: dict[str, Any]) -> None:
        """Show them.

        Args:
            charts: what they show, as :meth:`Series.between` tells it.
        """
        step_s = charts.get("step_ms", 1000) / 1000
        for name, title in CHARTS.items():
            values = charts.get(name, ())
            self.query_one(f"#{name}-now", Static).update(
                Text.assemble((f"{title} ", "dim"), now(name, values, step_s))
            )
            self.query_one(f"#{name}", Sparkline).data = [value or 0 for value in values]


def now(name: str, values: list[float | None], step_s: float) -> str:
    """Say what a chart comes to: of a flow the last whole step, of all else what was seen last."""
    if name in FLOWS:
        return f"{(values[-2] or 0) / step_s if len(values) > 1 else 0:.1f}/s"
    last = next((value for value in reversed(values) if value is not None), None)
    if last is None:
        return "-"
    return f"{last:g} ms" if name == "p50" else f"{last:,}"
