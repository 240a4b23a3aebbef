"""Pieces of Markdown that the pages share."""

from __future__ import annotations

from collections.abc import Iterable


def table(rows: Iterable[tuple[str, ...]], head: tuple[str, ...]) -> str:
    """Return a table in Markdown."""
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines) + "\n"


def written_from(source: str) -> str:
    """Return the comment that opens a generated page."""
    return f"<!-- Written by `python -m reference` from {source}: change that, not this page. -->\n"
