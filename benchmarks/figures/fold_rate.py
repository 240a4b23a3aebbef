"""Heartbeats, submissions with their dispatch, starts and completions folded, against an XADD of the same fields.

The yardstick is redis-benchmark, which appends to the same server, pipelined.

Every round pre-fills the streams, then times the ``advance`` calls alone. Jobs are delivered through the inboxes, as
``submit`` does it; the second row of dispatch leaves that out, as ``dispatch_task`` does.
"""

from __future__ import annotations

from ..harness.bench import Bench
from ..harness.figures import Figure
from ..harness.load import Ground, beat, completion, submission

BATCHES = (256, 512)


async def beats(bench: Bench, batch: int) -> float:
    """Heartbeats/s of 1000 online nodes."""
    ground = Ground(bench.redis, batch)
    nodes = await ground.fleet(1000)
    count = bench.size(60_000)
    await ground.fill("heartbeats", [beat(nodes[n % 1000], n) for n in range(count)])
    return count / await ground.drain()


async def jobs(bench: Bench, batch: int, deliver: bool) -> tuple[float, float, float]:
    """Events/s of submit + dispatch, of starts, and of completions, on 100 nodes in five pools."""
    ground = Ground(bench.redis, batch)
    await ground.fleet(100)
    if deliver:
        await ground.widen()
    count = bench.size(10_000)
    dispatching, starting, completing = await ground.lifecycle(count, deliver)
    return 2 * count / dispatching, count / starting, count / completing


async def measure(bench: Bench) -> list[Figure]:
    rows: dict[str, Figure] = {}

    def note(name: str, target: float | None, rate: float, base: float) -> None:
        figure = rows.setdefault(name, Figure(name, "x XADD", target))
        figure.values.append(rate / base)
        figure.note = f"{rate:,.0f}/s against {base:,.0f}/s in the last round"

    for _ in range(bench.rounds):
        base_beat = bench.xadd_rate(beat("node-000001"))
        base_job = bench.xadd_rate(submission(1, None))
        base_end = bench.xadd_rate(completion("session-1:1700000000000-0", "node-000001", "1700000000000-0-5eedba5e"))
        for batch in BATCHES:
            usual = batch == BATCHES[0]  # the targets are for the batch that workers use
            note(f"heartbeats folded, batch {batch}", 0.5 if usual else None, await beats(bench, batch), base_beat)
            for deliver in (True, False):
                how = f"{'' if deliver else 'not '}delivered, batch {batch}"
                dispatching, starting, completing = await jobs(bench, batch, deliver)
                note(f"submit + dispatch, {how}", 0.22 if usual else None, dispatching, base_job)
                note(f"completions, {how}", 0.3 if usual else None, completing, base_end)
                note(f"starts, {how}", None, starting, base_end)
            await bench.wipe()
    return list(rows.values())
