"""The files that are generated, and the function that returns the text of each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from .pages import asyncapi, cli_page, configuration_page, events_page, keys_page, python_page

ROOT = Path(__file__).resolve().parent.parent

FILES: dict[str, Callable[[], str]] = {
    "docs/events.md": events_page.text,
    "docs/asyncapi.yaml": asyncapi.text,
    "docs/state.md": keys_page.text,
    "docs/reference/python.md": python_page.text,
    "docs/reference/cli.md": cli_page.text,
    "docs/reference/configuration.md": configuration_page.text,
}
