"""Server memory of one dispatched job with a 200-byte payload: its hash, its indexes, its share of the log."""

from __future__ import annotations

from streamsched.events import JobSubmitted

from .bench import PAIRS, PAYLOAD, Bench, Figure, Ground

JOBS_PER_SESSION = 5


async def bytes_per_job(bench: Bench, deliver: bool) -> float:
    """Growth of ``used_memory`` over jobs dispatched at once on 100 nodes."""
    ground = Ground(bench.redis)
    await ground.fleet(100)
    if deliver:
        await ground.widen()
    count = bench.size(10_000)
    before = (await bench.redis.info("memory"))["used_memory"]
    for done in range(count):
        src, tgt = PAIRS[done % len(PAIRS)]
        event = JobSubmitted(
            session_id=f"session-{done // JOBS_PER_SESSION}", src_lang=src, tgt_lang=tgt, payload_json=PAYLOAD,
            immediate=True, deliver=deliver,
        )  # fmt: skip
        answer = await ground.append(event)
        if answer[3] != "dispatched":
            raise SystemExit(f"a job found no node: {answer}")
    after = (await bench.redis.info("memory"))["used_memory"]
    await bench.redis.flushall()
    return float(after - before) / count


async def measure(bench: Bench) -> list[Figure]:
    plain = Figure(
        "memory per dispatched job", "bytes", 1200, at_most=True, note="dispatch_task: delivered by its caller"
    )
    inbox = Figure("memory per dispatched job, delivered", "bytes", note="with its inbox entry, which is capped")
    for _ in range(min(bench.rounds, 3)):  # this figure has no noise to speak of
        plain.values.append(await bytes_per_job(bench, False))
        inbox.values.append(await bytes_per_job(bench, True))
    return [plain, inbox]
