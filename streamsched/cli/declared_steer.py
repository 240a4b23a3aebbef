"""What operators do to a running fleet: what the commands take. What they do stands in ``cli_fleet``, imported late."""

from __future__ import annotations

from typing import Annotated

import typer

from ..console.terminal import UsageProblem
from . import completion as cli_complete
from .options import Json, Target, command, pair_of

app = typer.Typer()

Nodes = Annotated[
    list[str],
    typer.Argument(metavar="NODE...", help="Ids of nodes, as `status` shows them.", autocompletion=cli_complete.nodes),
]
Reason = Annotated[str | None, typer.Option(help="Kept in the log.")]
Pool = Annotated[str | None, typer.Option(metavar="ID", help="A pool.", autocompletion=cli_complete.pools)]
Pair = Annotated[
    str | None,
    typer.Option(metavar="SRC:TGT", help="A language pair, in this direction.", autocompletion=cli_complete.pairs),
]
PausedPool = Annotated[
    str | None, typer.Option("--pool", metavar="ID", help="A pool.", autocompletion=cli_complete.paused_pools)
]
PausedPair = Annotated[
    str | None,
    typer.Option("--pair", metavar="SRC:TGT", help="A language pair.", autocompletion=cli_complete.paused_pairs),
]


@command(app, "streamsched cordon gpu-7 --reason 'runs hot'")
async def cordon(target: Target, nodes: Nodes, reason: Reason = None, json: Json = False) -> int:
    """Send no more jobs to nodes; what they hold goes on. Exit code 1 if one was refused."""
    from .operate.fleet import append_each

    return await append_each(target, [("node.cordoned", {"node_id": node}) for node in nodes], reason, json)


@command(app, "streamsched uncordon gpu-7")
async def uncordon(target: Target, nodes: Nodes, reason: Reason = None, json: Json = False) -> int:
    """Send jobs to nodes again that were cordoned or drained. Exit code 1 if one was refused."""
    from .operate.fleet import append_each

    return await append_each(target, [("node.uncordoned", {"node_id": node}) for node in nodes], reason, json)


@command(app, "streamsched drain gpu-7 gpu-8 --at-once 1 --deadline 10m --reason 'new driver'")
async def drain(
    target: Target,
    nodes: Nodes,
    at_once: Annotated[int, typer.Option(min=1, help="Nodes that are emptied at the same time.")] = 1,
    deadline: Annotated[
        str | None, typer.Option(metavar="AGE", help="How long to wait in all: 90s, 10m, 2h. [default: for ever]")
    ] = None,
    reason: Reason = None,
    json: Json = False,
) -> int:
    """Send no more jobs to nodes and wait until they hold none, a few nodes at a time. Exit code 1 if one was refused,
    or if the deadline passed: then it says what is still held; nothing is taken away from a node."""
    from .operate.fleet import drain_nodes

    return await drain_nodes(target, nodes, at_once, deadline, reason, json)


@command(app, "streamsched pause --pair zh:en --reason 'bad model'")
async def pause(target: Target, pool: Pool = None, pair: Pair = None, reason: Reason = None, json: Json = False) -> int:
    """Dispatch no new jobs of a pool or a language pair: they wait, what is held goes on."""
    from .operate.fleet import append_each

    return await append_each(target, [subject("paused", pool, pair)], reason, json)


@command(app, "streamsched resume --pool 1")
async def resume(
    target: Target, pool: PausedPool = None, pair: PausedPair = None, reason: Reason = None, json: Json = False
) -> int:
    """Dispatch the jobs of a paused pool or language pair again."""
    from .operate.fleet import append_each

    return await append_each(target, [subject("resumed", pool, pair)], reason, json)


@command(app, "streamsched configure heartbeat_timeout_ms=15000 --reason 'slow links' --yes")
async def configure(
    target: Target,
    changes: Annotated[
        list[str] | None, typer.Argument(metavar="KEY=VALUE...", autocompletion=cli_complete.configuration)
    ] = None,
    reason: Reason = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    json: Json = False,
) -> int:
    """Show the configuration in force; with changes, show what they change, ask, and append them to the log."""
    from .operate.fleet import change_configuration

    return await change_configuration(target, changes or [], reason, yes, json)


def subject(what: str, pool: str | None, pair: str | None) -> tuple[str, dict[str, str]]:
    """Return the type of the event and whom it is about.

    Raises:
        UsageProblem: not exactly one of pool and pair is named, or the pair is none.
    """
    if pool is not None and pair is None:
        return f"pool.{what}", {"pool_id": pool}
    if pair is None or pool is not None:
        raise UsageProblem("give --pool or --pair, and one of them")
    src, tgt = pair_of(pair)
    return f"pair.{what}", {"src_lang": src, "tgt_lang": tgt}
