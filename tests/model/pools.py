"""``pool_names_json``: which pools a node joins, and which languages a name stands for."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

from .contract import MOST_LANGUAGES, MOST_POOLS
from .refusals import Refused

PRIMARY = re.compile(r"[a-z]{2,3}")  # a code that cannot be the end of another one
POOL_ID = re.compile(r"[A-Za-z0-9._-]{1,256}")
HIGHEST_ID = 10**15
MOST_PAIRS = 4096  # of all pools of a node
MOST_SETS = 256  # of languages, that serve one pair


class Entry(NamedTuple):
    """One pool of a registration."""

    pool_id: str
    name: str
    languages: list[str]


def read_pools(listed: Any, name_of: Callable[[str], str], lang_of: Callable[[str], str]) -> list[Entry]:
    """Return the pools of a parsed list, by id.

    Raises:
        Refused: it is no list of pools, one stands twice, or a name can be read in two ways.
    """
    if not isinstance(listed, list) or len(listed) > MOST_POOLS:
        raise Refused("INVALID_FIELD")
    entries = [_entry(entry, name_of, lang_of) for entry in listed]
    if len({entry.pool_id for entry in entries}) < len(entries):
        raise Refused("INVALID_FIELD")
    if sum(len(entry.languages) * (len(entry.languages) - 1) for entry in entries) > MOST_PAIRS:
        raise Refused("INVALID_FIELD")
    return sorted(entries)


def _entry(entry: Any, name_of: Callable[[str], str], lang_of: Callable[[str], str]) -> Entry:
    if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
        raise Refused("INVALID_FIELD")
    name = name_of(entry["name"])
    languages = _languages(entry["languages"], lang_of) if "languages" in entry else _split(name)
    if "-".join(languages) != name or not 2 <= len(languages) <= MOST_LANGUAGES or len(set(languages)) < len(languages):
        raise Refused("INVALID_FIELD")
    return Entry(_pool_id(entry.get("id"), name), name, languages)


def _languages(listed: Any, lang_of: Callable[[str], str]) -> list[str]:
    if not isinstance(listed, list) or not all(isinstance(code, str) for code in listed):
        raise Refused("INVALID_FIELD")
    return [lang_of(code) for code in listed]


def _split(name: str) -> list[str]:
    codes = name.split("-")
    if not all(PRIMARY.fullmatch(code) for code in codes):
        raise Refused("INVALID_FIELD")  # where does one code end? the entry must list its languages
    return codes


def _pool_id(given: Any, name: str) -> str:
    """A number or a short word; left out, it follows from the name, so that every node computes the same one."""
    if given is None:
        return name
    if isinstance(given, float) and given.is_integer() and 0 <= given < HIGHEST_ID:
        return f"{given:.0f}"
    if isinstance(given, str) and POOL_ID.fullmatch(given):
        return given
    raise Refused("INVALID_FIELD")
