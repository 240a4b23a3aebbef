"""What each field of an event may hold. Any breach is ``INVALID_FIELD``; what is right is returned as folds read it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from . import contract
from .json_text import NotJson, read
from .pools import Entry, read_pools
from .refusals import Refused

CONTROL = re.compile(r"[\x00-\x1f\x7f]")
LANG = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*")
SOURCE = re.compile(r"[A-Za-z0-9._-]+")
ENTRY = re.compile(r"[0-9]+-[0-9]+")
NUMBER = re.compile(r"-?[0-9]+")
DIGITS_KEPT = 16  # sign and digits: what a double holds exactly


def text(most: int) -> Callable[[str], str]:
    """UTF-8 within so many bytes, and at least one."""

    def check(value: str) -> str:
        if value.isascii():
            size = len(value)
        else:
            try:
                size = len(value.encode())
            except UnicodeEncodeError:  # a byte that was no UTF-8 came in as half a surrogate
                raise Refused("INVALID_FIELD") from None
        if not 0 < size <= most:
            raise Refused("INVALID_FIELD")
        return value

    return check


short, words, json_sized = text(contract.ID_BYTES), text(contract.TEXT_BYTES), text(contract.JSON_BYTES)
source_sized = text(contract.SOURCE_BYTES)
payload, lang_sized = text(contract.PAYLOAD_BYTES), text(contract.LANG_BYTES)


def identifier(value: str) -> str:
    """An id or a name: no control characters."""
    if CONTROL.search(short(value)):
        raise Refused("INVALID_FIELD")
    return value


def entry(value: str) -> str:
    """The id of an entry of a stream."""
    if len(short(value)) > contract.ENTRY_BYTES or not ENTRY.fullmatch(value):
        raise Refused("INVALID_FIELD")
    return value


def source(value: str) -> str:
    """The name of a source: nothing in it has a meaning in a key or a pattern."""
    if not SOURCE.fullmatch(source_sized(value)):
        raise Refused("INVALID_FIELD")
    return value


def lang(value: str) -> str:
    """A language code: ASCII letters, digits and, not first, hyphens."""
    if not LANG.fullmatch(lang_sized(value)):
        raise Refused("INVALID_FIELD")
    return value


def number(least: int, most: int) -> Callable[[str], int]:
    """A whole number within bounds, in decimal digits."""

    def check(value: str) -> int:
        if len(value) > DIGITS_KEPT or not NUMBER.fullmatch(value) or not least <= int(value) <= most:
            raise Refused("INVALID_FIELD")
        return int(value)

    return check


def one_of(*choices: str) -> Callable[[str], str]:
    """One word of a few."""

    def check(value: str) -> str:
        if value not in choices:
            raise Refused("INVALID_FIELD")
        return value

    return check


def json(value: str) -> Any:
    """Text that parses as JSON."""
    try:
        read(json_sized(value))
    except NotJson:
        raise Refused("INVALID_FIELD") from None
    return value


def pools(value: str) -> list[Entry]:
    """A list of pools."""
    try:
        listed = read(json_sized(value))
    except NotJson:
        raise Refused("INVALID_FIELD") from None
    return read_pools(listed, identifier, lang)


KINDS: dict[str, Callable[[str], Any]] = {
    "id": identifier,
    "entry": entry,
    "lang": lang,
    "source": source,
    "text": words,
    "json": json,
    "payload": payload,
    "pools": pools,
    "ts": number(0, 10**15 - 1),
    "ms": number(0, contract.YEAR_MS),
    "bound": number(1, contract.MOST_OF_ANYTHING),
    "percent": number(1, 100),
    "room": number(0, contract.MOST_ROOM),
    "count": number(1, contract.MOST_ATTEMPTS),
    "priority": number(-contract.HIGHEST_PRIORITY, contract.HIGHEST_PRIORITY),
    "amount": number(1, 10**9),
    "flag": one_of("true", "false"),
    "affinity": one_of("prefer", "none"),
    "role": one_of("producer", "node"),
    "status": one_of("finished", "failed"),
    "policy": one_of("expected_finish", "two_choices", "random"),
}


def _row(stated: str) -> list[tuple[str, bool, Callable[[str], Any]]]:
    row = []
    for column in stated.split():
        name, _, kind = column.partition(":")
        row.append((name.rstrip("?"), name.endswith("?"), KINDS[kind]))
    return row


ROWS = {kind: _row(stated) for kind, stated in contract.EVENTS.items()}
FACTS = {kind: [name.rstrip("?") for name in stated.split()] for kind, stated in contract.DECISIONS.items()}


def checked(kind: str, raw: dict[str, str]) -> dict[str, Any]:
    """Return the fields of an event by name, ``None`` for those left out.

    Raises:
        Refused: one is missing, or not of its kind.
    """
    found: dict[str, Any] = {}
    for name, optional, check in ROWS[kind]:
        value = raw.get(name)
        if value is not None:
            found[name] = check(value)
        elif optional:
            found[name] = None
        else:
            raise Refused("INVALID_FIELD")
    return found
