"""The figures of a run so far, saved as they are measured: an interrupted long run keeps what it measured."""

from __future__ import annotations

import json
import platform
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .figures import Figure
from .machine import machine
from .plots import Curve, Plot, draw


@dataclass
class Findings:
    """The figures and curves of one run.

    Args:
        server: which server was measured.
        file: where all of it is written after every step, as JSON; ``None``: nowhere.
        plots: the folder of the curves.
    """

    server: str
    file: Path | None
    plots: Path
    figures: list[Figure] = field(default_factory=list)
    curves: dict[str, Curve] = field(default_factory=dict)
    began: float = field(default_factory=time.monotonic)

    def tell(self, text: str) -> None:
        """Say on stderr how far it is, and since when it runs."""
        print(f"{time.monotonic() - self.began:6.0f} s  {text}", file=sys.stderr, flush=True)

    def keep(self, unfinished: Sequence[Figure] = ()) -> None:
        """Write down what is known, with what a measurement under way has found."""
        if self.file is not None:
            self.file.write_text(json.dumps(self.as_json(unfinished), indent=2) + "\n")

    def add(self, figures: Sequence[Figure]) -> None:
        """Take in what a measurement has found at its end."""
        self.figures += figures
        self.keep()

    def draw(self, plot: Plot, curve: Curve) -> None:
        """Draw a curve again if it has grown, and keep its points."""
        self.plots.mkdir(parents=True, exist_ok=True)
        self.curves[plot.name] = curve
        draw(plot, curve, self.plots)

    def as_json(self, unfinished: Sequence[Figure] = ()) -> dict[str, Any]:
        """Everything, for :meth:`keep`."""
        return {
            "server": self.server,
            "python": platform.python_version(),
            "machine": machine(),
            "figures": [one.as_json() for one in (*self.figures, *unfinished) if one.values],
            "curves": self.curves,
        }
