"""Filters over rows of the log: words, or ``field=pattern``."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any


def matches(row: Mapping[str, Any], wanted: str) -> bool:
    """Return whether a row matches every word of a filter; case does not count.

    ``name=pattern`` matches the field of this name, ``type`` or ``id``; ``*`` in the pattern matches anything:
    ``type=job.* node_id=n1``. Any other word must occur in type, words, id, values or refusal.
    """
    text = " ".join((row["id"], row["type"], row["words"], row.get("refused", ""), *row["fields"].values())).casefold()
    for word in wanted.casefold().split():
        name, equals, pattern = word.partition("=")
        if not equals:
            if word not in text:
                return False
        elif not fnmatchcase(_value(row, name).casefold(), pattern):
            return False
    return True


def _value(row: Mapping[str, Any], name: str) -> str:
    value: str = row[name] if name in ("id", "type") else row["fields"].get(name, "")
    return value
