"""The files that are generated, and what each must hold."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from . import asyncapi, page

ROOT = Path(__file__).resolve().parent.parent

FILES: dict[str, Callable[[], str]] = {"docs/events.md": page.text, "docs/asyncapi.yaml": asyncapi.text}
