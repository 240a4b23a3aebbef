"""What a run found, as one JSON document: everything that the page and the plots are made of."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from ..harness.plots import Curve
from .catalogue import OURS
from .targets import Target, against_lua, against_no_persistence, against_peers


@dataclass
class Found:
    """One peer on one server."""

    figures: dict[str, list[float]] = field(default_factory=dict)
    """For each figure a value a round."""
    errors: dict[str, str] = field(default_factory=dict)
    """For each step that failed, what was last said."""

    def add(self, figures: dict[str, float], errors: dict[str, str]) -> None:
        """Add a round."""
        for name, value in figures.items():
            self.figures.setdefault(name, []).append(value)
        self.errors |= errors

    @property
    def medians(self) -> dict[str, float]:
        return {name: statistics.median(values) for name, values in self.figures.items()}


@dataclass
class Setting:
    """One server."""

    version: str
    peers: dict[str, Found] = field(default_factory=dict)

    @property
    def medians(self) -> dict[str, dict[str, float]]:
        return {name: found.medians for name, found in self.peers.items()}


@dataclass
class Results:
    """A whole run."""

    machine: str
    rounds: int
    jobs: int
    versions: dict[str, str] = field(default_factory=dict)
    """What was compared."""
    missing: dict[str, str] = field(default_factory=dict)
    """Who could not be, and why."""
    settings: dict[str, Setting] = field(default_factory=dict)
    curves: dict[str, Curve] = field(default_factory=dict)
    """``nodes``, ``waiting``, ``log``, ``load_p50``, ``load_p99``."""

    @property
    def main(self) -> Setting:
        """The server that got all figures."""
        return next(iter(self.settings.values()))

    def targets(self) -> list[Target]:
        """Every target, reached or not."""
        rows = against_peers(self.main.medians)
        rows[11:11] = [self._retained()]
        rows += against_lua(self.curves.get("nodes", {}))
        for name, setting in self.settings.items():
            if f"{name}-aof" in self.settings:
                kept = self.settings[f"{name}-aof"]
                rows.append(against_no_persistence(setting.medians, kept.medians, setting.version))
        return rows

    def _retained(self) -> Target:
        ours = self.main.medians.get(OURS, {})
        value = ours["retained"] / ours["log"] if "retained" in ours and "log" in ours else None
        note = f"{ours['retained']:,.0f} against {ours['log']:,.0f} bytes" if value else ""
        return Target("server memory of a finished job after retention, against its log alone", 1.05, True, value, note)

    def save(self, path: Path) -> None:
        path.write_bytes(msgspec.json.format(msgspec.json.encode(self), indent=1) + b"\n")

    @classmethod
    def load(cls, path: Path) -> Results:
        return msgspec.json.decode(path.read_bytes(), type=cls)
