"""JSON as the servers' ``cjson`` reads it: RFC 8259, and a little more.

More than the standard: numbers as C reads them (``0x1F``, ``01``, ``1.``, ``-.5``, ``+1``, ``nan``, ``Infinity`` in any
case), control characters inside strings, and anything after a NUL. Less: a surrogate without its partner, a NUL
anywhere else, nesting beyond 1000.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

DEEPEST = 1000
HEXADECIMAL = r"0[xX](?:[0-9a-fA-F]+\.?[0-9a-fA-F]*|\.[0-9a-fA-F]+)(?:[pP][+-]?[0-9]+)?"
DECIMAL = r"(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
TOKEN = re.compile(
    r"(?P<blank>[ \t\r\n]+)"
    r"|(?P<sign>[][{},:])"
    r'|"(?P<string>(?:[^"\\\x00]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*)"'
    r"|(?P<word>true|false|null)"
    rf"|(?!\.)(?P<number>[+-]?(?:{HEXADECIMAL}|{DECIMAL}|(?i:infinity|inf|nan(?:\([0-9a-z_]*\))?)))"
    r"|(?P<end>\x00)"
)
ESCAPE = re.compile(r"\\u[dD][89abAB]..\\u[dD][c-fC-F]..|\\u....|\\.")
PLAIN = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
WORDS = {"true": True, "false": False, "null": None}


class NotJson(ValueError):
    """The text does not parse."""


def read(text: str) -> Any:
    """Return what a text says; all numbers as ``float``.

    Raises:
        NotJson: it is no JSON.
    """
    if "\x00" in text[:2]:
        raise NotJson("text of two or four bytes a character")
    top: list[Any] = []
    stack: list[Any] = [top]
    names: list[str] = [""]
    wanted = {"value"}
    for sign, value in _tokens(text):
        if sign not in wanted and (sign != "string" or "value" not in wanted):
            raise NotJson(f"{sign} instead of {wanted}")
        if sign == ",":
            wanted = {"string"} if isinstance(stack[-1], dict) else {"value"}
        elif sign == ":":
            wanted = {"value"}
        elif sign == "string" and "value" not in wanted:
            names[-1], wanted = value, {":"}
        elif sign in ("]", "}"):
            stack.pop()
            names.pop()
            wanted = _behind(stack)
        else:
            container = stack[-1]
            if isinstance(container, dict):
                container[names[-1]] = value
            else:
                container.append(value)
            if isinstance(value, list | dict):
                stack.append(value)
                names.append("")
                wanted = {"value", "]"} if isinstance(value, list) else {"string", "}"}
            else:
                wanted = _behind(stack)
            if len(stack) > DEEPEST + 1:
                raise NotJson("nested too deep")
    if len(stack) > 1 or not top:
        raise NotJson("cut short")
    return top[0]


def _behind(stack: list[Any]) -> set[str]:
    """What may stand behind a value."""
    if len(stack) == 1:
        return set()
    return {",", "}"} if isinstance(stack[-1], dict) else {",", "]"}


def _tokens(text: str) -> Iterator[tuple[str, Any]]:
    at = 0
    while at < len(text):
        found = TOKEN.match(text, at)
        if not found:
            raise NotJson(f"character {at}")
        kind, part, at = found.lastgroup, found[found.lastgroup or 0], found.end()
        if kind == "end":
            return
        if kind == "sign":
            yield {"[": ("value", []), "{": ("value", {})}.get(part, (part, None))
        elif kind == "string":
            yield "string", ESCAPE.sub(_escaped, part)
        elif kind == "word":
            yield "value", WORDS[part]
        elif kind == "number":
            yield "value", _number(part.lower())


def _number(text: str) -> float:
    if "nan" in text:
        return float("nan")
    try:
        return float.fromhex(text) if "0x" in text else float(text)
    except OverflowError:
        return float("inf")


def _escaped(found: re.Match[str]) -> str:
    code = found[0]
    if code[1] != "u":
        return PLAIN.get(code[1], code[1])
    units = [int(unit, 16) for unit in code.split("\\u")[1:]]
    if len(units) == 2:
        return chr(0x10000 + (units[0] - 0xD800) * 0x400 + units[1] - 0xDC00)
    if 0xD800 <= units[0] <= 0xDFFF:
        raise NotJson("half a character")
    return chr(units[0])
