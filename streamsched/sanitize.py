"""Text that is safe to show: secrets masked, and no character that controls the terminal or deceives its reader."""

from __future__ import annotations

import re

ACTING = re.compile(
    "["
    "\x00-\x08\x0b-\x1f\x7f-\x9f"  # control characters of both sets, among them the introducers of escape sequences
    "\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"  # breaks, directions, unseen
    "\ud800-\udfff"  # halves of characters, which no terminal can print
    "\U000e0000-\U000e007f"  # tags: invisible words
    "]"
)
"""Characters to escape. Joiners (U+200C, U+200D) stay: Persian, Hindi and emoji are spelt with them."""


def mask(text: str) -> str:
    """Hide the password of every URL in ``text``, so that it may be shown or logged."""
    text = re.sub(r"(\w+://[^\s:@/]*):\S*@", r"\1:***@", text)
    return re.sub(r"([?&](?:sentinel_)?(?:password|username)=)[^&\s]*", r"\1***", text)


def visible(text: str) -> str:
    """Return ``text`` with every control character but newline and tab escaped, so that it can be printed.

    Clients choose payloads, reasons, errors and ids: an escape sequence in one must not control the operator's
    terminal, and a character that changes direction or is invisible must not make one name look like another.
    """
    return ACTING.sub(lambda found: found.group().encode("unicode_escape", "surrogatepass").decode(), text)


def one_line(text: str) -> str:
    """Return :func:`visible` text on a single line."""
    return visible(text).replace("\n", "\\n").replace("\t", "\\t")


def visible_json(encoded: str) -> str:
    """Return JSON that says the same and may be printed: a terminal also acts on characters that JSON may hold as they
    are.
    """
    return ACTING.sub(lambda found: _json_escapes(found.group()), encoded)


def ascii_json(encoded: str) -> str:
    """Return JSON that says the same in ASCII, for an output that is not UTF-8."""
    return "".join(c if c.isascii() else _json_escapes(c) for c in encoded)


def _json_escapes(text: str) -> str:
    units = text.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[n] << 8 | units[n + 1]:04x}" for n in range(0, len(units), 2))
