"""Pools and language pairs that an operator keeps new jobs away from."""

from __future__ import annotations

from ..refusals import Refused
from ..state import State
from .registry import Entry, folds


def pause(state: State, entry: Entry, name: str, reason: str | None) -> None:
    """Note since when something is paused, and why; a second pause replaces both."""
    state.paused[name] = f"{entry.at} {reason or ''}"


def pool(state: State, pool_id: str) -> str:
    """Return the name under which the pause of a pool is kept; a pool without a registration is refused."""
    if pool_id not in state.pools:
        raise Refused("UNKNOWN_POOL")
    return f"pool {pool_id}"


def pair(src_lang: str, tgt_lang: str) -> str:
    """Return the name under which the pause of a pair is kept."""
    if src_lang == tgt_lang:
        raise Refused("INVALID_FIELD")
    return f"pair {src_lang}:{tgt_lang}"


@folds("pool.paused")
def pool_paused(state: State, entry: Entry, pool_id: str, reason: str | None) -> None:
    """A pool is to have no new jobs."""
    pause(state, entry, pool(state, pool_id), reason)


@folds("pool.resumed")
def pool_resumed(state: State, entry: Entry, pool_id: str, reason: str | None) -> None:
    """It may have some again."""
    if state.paused.pop(pool(state, pool_id), None) is not None and not state.members(pool_id):
        state.pools[pool_id].empty_ts = entry.at


@folds("pair.paused")
def pair_paused(state: State, entry: Entry, src_lang: str, tgt_lang: str, reason: str | None) -> None:
    """The jobs of a pair are to wait."""
    pause(state, entry, pair(src_lang, tgt_lang), reason)


@folds("pair.resumed")
def pair_resumed(state: State, entry: Entry, src_lang: str, tgt_lang: str, reason: str | None) -> None:
    """They may go to nodes again."""
    state.paused.pop(pair(src_lang, tgt_lang), None)
