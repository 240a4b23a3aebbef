"""The curves as small SVG files, text as text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib

matplotlib.use("svg")

from matplotlib import pyplot

Curve = dict[str, list[tuple[float, float]]]
"""For each name, what was measured at which size."""

LARGEST = 60_000
"""Bytes of one plot: they are kept in the repository."""


@dataclass(frozen=True)
class Plot:
    """One plot; ``name`` is its curve and its file."""

    name: str
    title: str
    across: str
    up: str
    scales: tuple[str, str] = ("log", "log")
    """Of the two axes: a size grows tenfold, time and ratios do not."""


def draw(plot: Plot, curve: Curve, folder: Path) -> Path:
    """Draw a curve, ours in front; returns the file."""
    with pyplot.rc_context({"svg.fonttype": "none", "svg.hashsalt": plot.name, "font.size": 9}):
        figure, axes = pyplot.subplots(figsize=(6.4, 3.6), layout="constrained")
        for name, points in sorted(curve.items()):
            ours = name.startswith("streamsched")
            across, up = zip(*points, strict=True)
            axes.plot(
                across, up, marker="o", markersize=3, linewidth=2.4 if ours else 1, zorder=3 if ours else 2, label=name
            )
        axes.set(xscale=plot.scales[0], yscale=plot.scales[1])
        axes.set(xlabel=plot.across, ylabel=plot.up, title=plot.title)
        axes.grid(alpha=0.3)
        axes.legend(fontsize=7, loc="upper left", bbox_to_anchor=(1, 1))
        path = folder / f"{plot.name}.svg"
        figure.savefig(path, metadata={"Date": None})
        pyplot.close(figure)
    return path


def draw_all(plots: Sequence[Plot], curves: dict[str, Curve], folder: Path) -> list[Plot]:
    """Draw what was measured; returns the plots that have a file now."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn = []
    for plot in plots:
        if curves.get(plot.name):
            draw(plot, curves[plot.name], folder)
            drawn.append(plot)
    return drawn
