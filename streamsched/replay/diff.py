"""The difference of the state between two moments: two scratch folds, compared page by page."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgspec

from ..contract.keys import Keys
from .values import hard_keys
from .verify import Item, read


class Change(msgspec.Struct, kw_only=True):
    """A key that differs between the two moments."""

    key: str
    """Without its prefix."""
    kind: str
    """``added``, ``removed`` or ``changed``."""
    before: Any
    """The differing part at the first moment: a hash's fields, a set's members; ``None`` if the key did not exist."""
    after: Any


async def changes(one: Any, other: Any, keys: Keys) -> AsyncIterator[Change]:
    """Yield every key that differs, without soft fields, in no particular order; memory does not grow with the state.

    Args:
        one: a client of the server that holds the first moment.
        other: a client of the server that holds the second.
        keys: the partition, the same on both.
    """
    async for page in _pages(one, keys):
        before, after = await read(one, keys, page), await read(other, keys, page)
        for item, old, new in zip(page, before, after, strict=True):
            if old != new:
                yield _change(item, old, new)
    async for page in _pages(other, keys):
        known = await read(one, keys, page)
        fresh = [item for item, old in zip(page, known, strict=True) if old is None]
        for item, new in zip(fresh, await read(other, keys, fresh), strict=True):
            if new is not None:
                yield _change(item, None, new)


async def _pages(redis: Any, keys: Keys) -> AsyncIterator[list[Item]]:
    async for page in hard_keys(redis, keys):
        yield [Item(name, kind, whole=True) for name, kind in page]


def _change(item: Item, old: Any, new: Any) -> Change:
    if old is None or new is None:
        return Change(key=item.name, kind="added" if old is None else "removed", before=old, after=new)
    return Change(key=item.name, kind="changed", before=shown_difference(old, new), after=shown_difference(new, old))


def shown_difference(value: Any, other: Any) -> Any:
    """Return the part of a value that the other one lacks, field by field or member by member."""
    if isinstance(value, dict) and isinstance(other, dict):
        return {field: text for field, text in sorted(value.items()) if other.get(field) != text}
    if isinstance(value, list) and isinstance(other, list):
        known = {_hashable(member) for member in other}
        return [member for member in value if _hashable(member) not in known]
    return value


def _hashable(member: Any) -> Any:
    return tuple(member) if isinstance(member, list) else member
