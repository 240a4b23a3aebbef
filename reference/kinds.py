"""What a field of each kind may hold, as the folds check it. The tests ask a server whether it has these bounds."""

from __future__ import annotations

from typing import Any, NamedTuple

from streamsched.contract.kinds import KINDS as BOUNDS
from streamsched.contract.kinds import LIMITS


class Kind(NamedTuple):
    """One kind of field: words for its values, its unit, and its bounds."""

    words: str
    unit: str = ""
    longest: int | None = None
    """Bytes, in UTF-8."""
    least: int | None = None
    most: int | None = None
    """Bounds of a whole number."""
    one_of: tuple[str, ...] = ()
    pattern: str = ""
    is_json: bool = False

    @property
    def schema(self) -> dict[str, Any]:
        """The JSON Schema of such a field. On a stream every value is text; a number is text that looks like one."""
        schema: dict[str, Any] = {"type": "string", "minLength": 1}
        if self.one_of:
            return {"type": "string", "enum": list(self.one_of)}
        if self.pattern:
            schema["pattern"] = self.pattern
        if self.longest is not None:
            schema |= {"maxLength": self.longest, "x-max-bytes": self.longest}
        if self.least is not None:
            schema |= {"maxLength": 16, "x-minimum": self.least, "x-maximum": self.most}
        if self.unit:
            schema["x-unit"] = self.unit
        if self.is_json:
            schema["contentMediaType"] = "application/json"
        return schema


def spaced(number: int) -> str:
    """Return a number as a person reads it."""
    return f"{number:,}".replace(",", " ")


def text(kind: str, words: str = "text") -> Kind:
    """Text of so many bytes at most."""
    longest = int(BOUNDS[kind].bounds[0])
    return Kind(f"{words}, at most {spaced(longest)} bytes", longest=longest)


def number(kind: str, unit: str = "") -> Kind:
    """A whole number between two bounds."""
    least, most = (int(bound) for bound in BOUNDS[kind].bounds)
    return Kind(
        f"whole number from {spaced(least)} to {spaced(most)}",
        unit,
        least=least,
        most=most,
        pattern="^-?[0-9]+$" if least < 0 else "^[0-9]+$",
    )


def word(kind: str) -> Kind:
    """One of some words."""
    words = tuple(str(word) for word in BOUNDS[kind].bounds)
    return Kind(" or ".join(f"`{word}`" for word in words), one_of=words)


POOLS = f"""JSON: at most {LIMITS["pools"]} pools of {LIMITS["languages"]} languages, such as `[{{"name":"en-zh"}}]`"""

KINDS: dict[str, Kind] = {
    "id": text("id", "text without control characters")._replace(pattern=r"^[^\u0000-\u001f\u007f]+$"),
    "lang": text("lang", "language code of letters, digits and hyphens")._replace(pattern="^[A-Za-z0-9][A-Za-z0-9-]*$"),
    "text": text("text"),
    "json": text("json", "JSON")._replace(is_json=True),
    "payload": text("payload", "text, as a rule JSON; never parsed"),
    "pools": text("pools")._replace(words=POOLS, is_json=True),
    "ts": number("ts", "ms since the epoch"),
    "count": number("count"),
    "ms": number("ms", "ms"),
    "bound": number("bound"),
    "room": number("room", "jobs"),
    "percent": number("percent", "%"),
    "priority": number("priority"),
    "amount": number("amount"),
    "flag": word("flag"),
    "source": text("source", "letters, digits, dot, hyphen and underscore")._replace(pattern="^[A-Za-z0-9._-]+$"),
    "entry": text("entry")._replace(
        words="id of an entry of a stream, such as `1700000000000-0`", pattern="^[0-9]+-[0-9]+$"
    ),
    "status": word("status"),
    "affinity": word("affinity"),
    "policy": word("policy"),
    "role": word("role"),
}
