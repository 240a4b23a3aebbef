"""Server memory of one dispatched job with a 200-byte payload: its hash, its indexes, its share of the log."""

from __future__ import annotations

from streamsched.client.requests import DispatchRequest
from streamsched.client.scheduler import Scheduler

from ..harness.bench import Bench
from ..harness.figures import Figure
from ..harness.load import PAIRS, PAYLOAD, Ground

JOBS_PER_SESSION = 5
SETTING, COMPACT, DEFAULT = "hash-max-listpack-value", 1024, 64
"""A server keeps a hash in one piece while none of its values is longer than this. The embedded server sets the first;
a payload passes the second."""


async def bytes_per_job(bench: Bench, deliver: bool, longest: int) -> float:
    """Growth of ``used_memory`` over jobs of ``dispatch_task`` on 100 nodes."""
    await bench.wipe()
    usual = (await bench.redis.config_get(SETTING))[SETTING]
    await bench.command("CONFIG", "SET", SETTING, longest)
    ground = Ground(bench.redis)
    await ground.fleet(100)
    await ground.widen()
    count = bench.size(10_000)
    async with Scheduler.connect(bench.server.url, ground.keys.namespace) as scheduler:
        before = (await bench.redis.info("memory"))["used_memory"]
        for n in range(count):
            src, tgt = PAIRS[n % len(PAIRS)]
            session = f"session-{n // JOBS_PER_SESSION}"
            await scheduler.dispatch_task(
                DispatchRequest(session_id=session, src_lang=src, tgt_lang=tgt, payload_json=PAYLOAD, deliver=deliver)
            )
        after = (await bench.redis.info("memory"))["used_memory"]
    await bench.command("CONFIG", "SET", SETTING, str(usual))
    await bench.wipe()
    return float(after - before) / count


async def measure(bench: Bench) -> list[Figure]:
    figures = []
    for deliver in (False, True):
        for longest in (COMPACT, DEFAULT):
            target = None if deliver or longest == DEFAULT else 1200
            note = f"{SETTING} {longest}{' (what servers come with)' if longest == DEFAULT else ''}"
            figure = Figure(f"memory per job, {'' if deliver else 'not '}delivered", "bytes", target, True, note=note)
            for _ in range(min(bench.rounds, 3)):  # this figure has no noise to speak of
                figure.values.append(await bytes_per_job(bench, deliver, longest))
            figures.append(figure)
    return figures
