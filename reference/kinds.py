"""What may stand in a field of each kind, as the folds check it. The tests ask a server whether it has these bounds."""

from __future__ import annotations

from typing import Any, NamedTuple

from streamsched.contract.events import Affinity, JobStatus, Policy, SourceRole
from streamsched.contract.kinds import LIMITS

YEAR_MS = 365 * 24 * 3600 * 1000


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


def text(longest: int, words: str = "text") -> Kind:
    """Text of so many bytes at most."""
    return Kind(f"{words}, at most {spaced(longest)} bytes", longest=longest)


def number(least: int, most: int, unit: str = "") -> Kind:
    """A whole number between two bounds."""
    return Kind(
        f"whole number from {spaced(least)} to {spaced(most)}",
        unit,
        least=least,
        most=most,
        pattern="^-?[0-9]+$" if least < 0 else "^[0-9]+$",
    )


def word(*words: str) -> Kind:
    """One of these words."""
    return Kind(" or ".join(f"`{word}`" for word in words), one_of=tuple(str(word) for word in words))


POOLS = f"""JSON: at most {LIMITS["pools"]} pools of {LIMITS["languages"]} languages, such as `[{{"name":"en-zh"}}]`"""

KINDS: dict[str, Kind] = {
    "id": text(LIMITS["id"], "text without control characters")._replace(pattern=r"^[^\u0000-\u001f\u007f]+$"),
    "lang": text(35, "language code of letters, digits and hyphens")._replace(pattern="^[A-Za-z0-9][A-Za-z0-9-]*$"),
    "text": text(LIMITS["text"]),
    "json": text(LIMITS["json"], "JSON")._replace(is_json=True),
    "payload": text(LIMITS["payload"], "text, as a rule JSON; never parsed"),
    "pools": Kind(POOLS, longest=LIMITS["json"], is_json=True),
    "ts": number(0, 10**15 - 1, "ms since the epoch"),
    "count": number(1, LIMITS["attempts"]),
    "ms": number(0, YEAR_MS, "ms"),
    "bound": number(1, 10**12 - 1),
    "percent": number(1, 100, "%"),
    "priority": number(-LIMITS["priority"], LIMITS["priority"]),
    "amount": number(1, 10**9),
    "flag": word("true", "false"),
    "source": text(64, "letters, digits, dot, hyphen and underscore")._replace(pattern="^[A-Za-z0-9._-]+$"),
    "entry": Kind("id of an entry of a stream, such as `1700000000000-0`", pattern="^[0-9]+-[0-9]+$", longest=41),
    "status": word(*JobStatus),
    "affinity": word(*Affinity),
    "policy": word(*Policy),
    "role": word(*SourceRole),
}
