"""``streamsched pause`` and ``resume``: which pools and pairs get jobs."""

from __future__ import annotations

from typing import Annotated

import typer

from ...console.terminal import UsageProblem
from .. import completion
from ..options import Json, Target, command, pair_of
from .operator_events import Reason, append_each

Pool = Annotated[str | None, typer.Option(metavar="ID", help="A pool.", autocompletion=completion.pools)]
Pair = Annotated[
    str | None,
    typer.Option(metavar="SRC:TGT", help="A language pair, in this direction.", autocompletion=completion.pairs),
]
PausedPool = Annotated[
    str | None, typer.Option("--pool", metavar="ID", help="A pool.", autocompletion=completion.paused_pools)
]
PausedPair = Annotated[
    str | None,
    typer.Option("--pair", metavar="SRC:TGT", help="A language pair.", autocompletion=completion.paused_pairs),
]


@command("streamsched pause --pair zh:en --reason 'bad model'")
async def pause(target: Target, pool: Pool = None, pair: Pair = None, reason: Reason = None, json: Json = False) -> int:
    """Dispatch no jobs of a pool or a language pair. New jobs wait, running ones go on."""

    return await append_each(target, [subject("paused", pool, pair)], reason, json)


@command("streamsched resume --pool 1")
async def resume(
    target: Target, pool: PausedPool = None, pair: PausedPair = None, reason: Reason = None, json: Json = False
) -> int:
    """Dispatch jobs of a pool or a language pair again."""

    return await append_each(target, [subject("resumed", pool, pair)], reason, json)


def subject(what: str, pool: str | None, pair: str | None) -> tuple[str, dict[str, str]]:
    """Return the type of the event and its subject.

    Raises:
        UsageProblem: not exactly one of pool and pair is given, or the pair is malformed.
    """
    if pool is not None and pair is None:
        return f"pool.{what}", {"pool_id": pool}
    if pair is None or pool is not None:
        raise UsageProblem("give either --pool or --pair")
    src, tgt = pair_of(pair)
    return f"pair.{what}", {"src_lang": src, "tgt_lang": tgt}
