"""Records a golden log: ``python -m tests.golden.record 0.1.0``. What is recorded stays as it is."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import anyio

from streamsched.connect.client import connect
from streamsched.contract.keys import Keys
from streamsched.history.history import History
from streamsched.log.live import LiveLog
from streamsched.server.embedded import EmbeddedServer

from ..support.ledger import Ledger
from .fold import digest_of

HERE = Path(__file__).parent


async def story(log: Ledger) -> None:
    """Every event and every decision at least once, and refusals among them."""
    await log.freeze()
    await log.append(["type", "scheduler.configured", "heartbeat_timeout_ms", "20000", "job_timeout_ms", "60000",
                      "retry_backoff_ms", "100", "retention_ms", "400000"])  # fmt: skip
    await log.node("n1", "en-zh", "de-en-fr")
    await log.node("n2", "en-zh", mailbox="gateway")
    await log.submit("unserved", src="xx", tgt="yy", immediate=True)
    await log.submit("later", not_before_ts=await log.now() + 5000)
    await log.submit("soon", src="xx", tgt="yy", deadline_ts=await log.now() + 4000)
    for n in range(12):
        await log.submit(f"j{n}", f"s{n % 3}", priority=n % 5 - 2)
    await log.tell("started", "j0")
    await log.tell("progressed", "j0", progress_json='{"done":0.5}')
    await log.tell("completed", "j0", status="finished", result_json='{"text":"嗯"}')
    await log.tell("declined", "j1", reason="no model")
    await log.tell("declined", "j2", reason="full")
    await log.tell("started", "j3")
    await log.tell("completed", "j3", status="failed", error="out of memory")
    await log.append(["type", "job.cancelled", "job_id", "j4", "reason", "user left"])
    await log.append(["type", "session.released", "session_id", "s1"])
    await log.append(["type", "node.cordoned", "node_id", "n2", "reason", "hot"])
    await log.append(["type", "node.uncordoned", "node_id", "n2"])
    await log.append(["type", "node.drained", "node_id", "n2"])
    await log.append(["type", "node.heartbeat", "node_id", "n1", "online", "true", "accepting", "false"])
    await log.append(["type", "node.heartbeat", "node_id", "n1", "online", "true", "accepting", "true"])
    for wrong in (
        ["type", "job.completed", "job_id", "j5", "node_id", "n9", "status", "finished"],
        ["type", "job.completed", "job_id", "j0", "node_id", "n1", "status", "failed"],
        ["type", "job.started", "job_id", "j5", "node_id", "n1", "attempt", "0-0-old"],
        ["type", "job.cancelled", "job_id", "nobody"],
        ["type", "node.cordoned", "node_id", "nobody"],
        ["type", "node.expired", "node_id", "n1", "last_heartbeat_ts", "0"],
        ["type", "no.such"],
        ["type", "job.submitted", "session_id", "s1"],
        ["type", "session.released", "session_id", "s1", "v", "9"],
    ):
        await log.append(wrong)
    for _ in range(6):
        await log.pass_time(3000)
        await log.append(["type", "node.heartbeat", "node_id", "n1", "online", "true"])
    await log.add({"type": "node.heartbeat", "node_id": "n1", "online": "true", "accepting": "false"})
    await log.add({"type": "node.heartbeat", "node_id": "n1", "online": "true", "accepting": "true"})
    await log.advance()
    await log.submit("runs", "s9")
    await log.tell("started", "runs")
    await log.pass_time_unattended(70_000)  # the scheduler was away
    for _ in range(30):
        await log.pass_time(4000)
        await log.append(["type", "node.heartbeat", "node_id", "n1", "online", "true"])
    await log.node("n4", "pt-fi")
    await log.submit("direct", src="pt", tgt="fi", immediate=True, deliver=False)
    await log.append(["type", "node.offline", "node_id", "n4", "reason", "power cut"])
    await log.node("n3", "en-zh")
    for n in range(20):
        await log.submit(f"k{n}", f"s{n % 4}", max_attempts=1)
        if n % 2:
            await log.tell("started", f"k{n}")
            await log.tell("completed", f"k{n}", status="finished" if n % 4 == 1 else "failed")
    await log.pass_time(70_000)
    await log.pass_time(500_000)
    await log.append(["type", "session.released", "session_id", "s2"])
    for online in ("false", "true"):
        await log.append(["type", "node.heartbeat", "node_id", "n1", "online", online])


async def letters(log: Ledger) -> None:
    """Dead letters retried, dropped, retried in vain, and retried twice."""
    await log.freeze()
    await log.append(["type", "node.cordoned", "node_id", "n1", "reason", "hot"])
    await log.append(["type", "job.cancelled", "job_id", "nobody"])
    await log.node("n1")
    first, second = await log.letter_ids()
    cordoned = ["type", "node.cordoned", "node_id", "n1", "reason", "hot", "retry_of", first]
    await log.append(cordoned, cordoned, ["type", "node.uncordoned", "node_id", "n1"], cordoned)
    cancelled = ["type", "job.cancelled", "job_id", "nobody", "retry_of", second]
    await log.append(cancelled)
    await log.submit("nobody")
    await log.append(cancelled, cancelled, ["type", "job.cancelled", "job_id", "no one"])
    await log.append(["type", "letter.dropped", "letter", (await log.letter_ids())[-1], "reason", "a test"])
    await log.append(["type", "letter.dropped", "letter", first])


async def requests(log: Ledger) -> None:
    """Events that come again under their request_id, at once, behind others, and after an hour."""
    await log.freeze()
    pools = ["pool_names_json", '[{"name":"en-zh"}]']
    about = {
        "node.registered": ["node_id", "n1", "cap_json", "{}", *pools],
        "node.heartbeat": ["node_id", "n1", "online", "true"],
        "node.cordoned": ["node_id", "n1"],
        "node.uncordoned": ["node_id", "n1"],
        "node.drained": ["node_id", "n1", "reason", "maintenance"],
        "session.released": ["session_id", "s1"],
        "scheduler.configured": ["max_attempts", "2", "retry_backoff_ms", "0"],
        "job.submitted": ["session_id", "s1", "src_lang", "en", "tgt_lang", "zh", "payload_json", "{}"],
    }
    for _ in range(2):
        for kind, fields in about.items():
            await log.append(["type", kind, *fields, "request_id", "r1"])
    await log.append(["type", "node.uncordoned", "node_id", "n1", "request_id", "r2"])
    for n in (1, 2, 1):
        await log.tell("progressed", "s1:r1", progress_json=str(n), request_id=f"r{n}")
    attempt = (await log.job("s1:r1"))["attempt"]
    for _ in range(2):
        await log.tell("declined", "s1:r1", attempt=attempt, request_id="r3")
    failed = ["type", "job.completed", "job_id", "s1:r1", "node_id", "n1", "status", "failed", "request_id", "r4"]
    await log.append(failed, ["type", "session.released", "session_id", "s1"])
    await log.append(failed)
    await log.pass_time(3_600_001)
    for n in range(5):
        await log.append(["type", "node.offline", "node_id", "n1", "request_id", f"r{n}"])
        await log.append(["type", "node.cordoned", "node_id", "nobody", "request_id", f"r{n}"])


async def sources(log: Ledger) -> None:
    """Sources admitted, heard, refused, limited, revoked and admitted again."""
    await log.freeze()
    await log.admit("web", rate=10, backlog=12, size=2000, priority=5)
    await log.admit("gpu", "n1")
    pools = json.dumps([{"name": "en-zh"}])
    await log.say("gpu", "node.registered", "node_id", "n1", "cap_json", "{}", "pool_names_json", pools)
    await log.say("gpu", "node.heartbeat", "node_id", "n1", "online", "true")
    submit = ("job.submitted", "session_id", "s1", "src_lang", "en", "tgt_lang", "zh", "payload_json", "{}")
    for n in range(20):
        await log.say("web", *submit, "job_id", f"j{n}", "priority", str(n % 8))
    await log.take_in("gpu", "web")
    holds = await log.held("n1")
    assert len(holds) > 3
    for n, job_id in enumerate(sorted(holds)):
        about = ("job_id", job_id, "node_id", "n1", "attempt", (await log.job(job_id))["attempt"])
        await log.say("gpu", "job.started", *about)
        if n % 3:
            await log.say("gpu", "job.completed", *about, "status", "finished")
    await log.say("gpu", "job.declined", "job_id", sorted(holds)[0], "node_id", "n1", "reason", "restarted")
    await log.say("gpu", "job.cancelled", "job_id", sorted(holds)[0])
    for _ in range(6):
        await log.take_in("web", "gpu")
        await log.pass_time(500)
    await log.say("gpu", "node.offline", "node_id", "n2")
    await log.say("web", "session.released", "session_id", "s1")
    await log.say("web", *submit[:-1], json.dumps("x" * 3000))
    await log.take_in("gpu", "web")
    await log.pass_time(20_000)
    await log.say("web", *submit, entry_id=f"{2**64 - 1}-{2**64 - 1}")
    await log.redis.set(log.keys("ingress", "gpu"), "of another type")
    await log.take_in("gpu", "web")
    await log.append(["type", "source.revoked", "source", "web", "reason", "spam"])
    await log.append(["type", "source.revoked", "source", "nobody"])
    await log.append(["type", "source.admitted", "source", "gpu", "role", "node"])
    await log.redis.delete(log.keys("ingress", "gpu"))
    await log.say("gpu", "node.offline", "node_id", "n1")
    await log.take_in("gpu")
    stale = {"type": "node.offline", "node_id": "n1", "source": "gpu"}
    for stamp in ("1-1", "007-1", "x"):
        await log.add({**stale, "source_id": stamp})
    await log.append(["type", "source.admitted", "source", "web", "role", "producer", "request_id", "r1"])
    await log.append(["type", "source.admitted", "source", "web", "role", "producer", "request_id", "r1"])


async def overload(log: Ledger) -> None:
    """More jobs than may wait: submissions are shed before and after they are written, until there is room again."""
    await log.freeze()
    await log.append(["type", "scheduler.configured", "max_waiting", "3", "max_lag", "3", "shed_memory_percent", "100"])
    jobs = [["type", "job.submitted", "job_id", f"j{n}", "session_id", "s", "src_lang", "en", "tgt_lang", "zh",
             "payload_json", "{}"] for n in range(9)]  # fmt: skip
    await log.append(*jobs[:5])
    for flat in jobs[5:7]:
        await log.add(dict(zip(flat[::2], flat[1::2], strict=True)))
    await log.advance()
    await log.append(jobs[0], [*jobs[7], "immediate", "true"])
    await log.pass_time(5000)
    await log.append(["type", "job.cancelled", "job_id", "j0"])
    for _ in range(9):
        await log.add({"type": "session.released", "session_id": "s"})
    await log.append(jobs[8], batch=2)
    await log.advance(batch=2)
    await log.append(jobs[8])


async def pauses(log: Ledger) -> None:
    """Pools and pairs paused and resumed while jobs wait, run, and ask for a node at once; some of it twice."""
    await log.freeze()
    await log.node("n1", "en-zh")
    await log.node("n2", "de-en-zh")
    await log.submit("j1")
    await log.append(["type", "pool.paused", "pool_id", "en-zh", "reason", "new model", "request_id", "r1"])
    for n in range(4):
        await log.submit(f"k{n}", f"s{n}")
    await log.append(["type", "pool.paused", "pool_id", "de-en-zh"])
    await log.submit("now", immediate=True)
    await log.append(["type", "pair.paused", "src_lang", "zh", "tgt_lang", "en", "reason", "嗯"])
    await log.append(["type", "pool.resumed", "pool_id", "en-zh", "reason", "loaded", "request_id", "r1"])
    for n in range(4):
        await log.submit(f"l{n}", f"s{n}")
    await log.submit("back", src="en", tgt="zh")
    await log.submit("too", immediate=True)
    await log.append(["type", "pool.paused", "pool_id", "en-zh", "reason", "new model", "request_id", "r1"])
    await log.append(["type", "pool.paused", "pool_id", "nobody"])
    await log.append(["type", "pair.paused", "src_lang", "zh", "tgt_lang", "zh"])
    await log.append(["type", "pair.resumed", "src_lang", "en", "tgt_lang", "zh"])
    await log.append(["type", "pair.paused", "src_lang", "en", "tgt_lang", "zh", "request_id", "r1"])
    await log.node("n1", "de-en")
    await log.append(["type", "pair.resumed", "src_lang", "zh", "tgt_lang", "en", "reason", "done", "request_id", "r1"])
    await log.append(["type", "pool.resumed", "pool_id", "de-en-zh"])


async def retired(log: Ledger) -> None:
    """Nodes, pools and sources that are gone: retired by an operator, or when their time was over."""
    await log.freeze()
    for source in ("web", "shop"):
        await log.admit(source)
        await log.say(source, "session.released", "session_id", "s1")
        await log.say(source, "node.offline", "node_id", "n1")
    await log.take_in("web", "shop")
    await log.append(["type", "source.revoked", "source", "web"], ["type", "source.revoked", "source", "shop"])
    await log.append(["type", "scheduler.configured", "node_retention_ms", "60000", "heartbeat_timeout_ms", "0"])
    await log.node("n1", "en-zh", "de-en")
    await log.node("n2", "en-zh", mailbox="gateway")
    await log.node("n3", "fr-en", mailbox="gateway")
    await log.submit("j1")
    await log.append(["type", "node.offline", "node_id", "n3"], ["type", "node.retired", "node_id", "n1"])
    await log.append(["type", "node.retired", "node_id", "n3", "reason", "sold", "request_id", "r1"])
    await log.append(["type", "pool.paused", "pool_id", "fr-en"], ["type", "node.offline", "node_id", "n1"])
    await log.pass_time(60_000)
    await log.append(["type", "node.offline", "node_id", "n2"], ["type", "node.retired", "node_id", "n2"])
    await log.node("n1", "fr-de")
    await log.node("n1", "de-en")
    await log.append(["type", "pool.resumed", "pool_id", "fr-en"])
    for _ in range(4):
        await log.pass_time(30_000)
    await log.append(["type", "node.retired", "node_id", "n3", "request_id", "r1"])
    (letter,) = [fields for fields in await log.dead() if fields.get("source") == "web"]
    about = ["source", "web", "source_id", letter["source_id"], "retry_of", (await log.letter_ids())[0]]
    await log.append(["type", "node.offline", "node_id", "n1", *about])
    await log.admit("web")


STORIES = {"0.1.0": story, "letters": letters, "requests": requests, "sources": sources, "overload": overload,
           "pauses": pauses, "retired": retired}  # fmt: skip
"""By the name of the file; what came later has a story of its own."""


async def record(release: str) -> None:
    """Run a story on a server, and keep its log with what was refused and the digest of its fold."""
    path = HERE / f"{release}.ndjson"
    if path.exists():
        sys.exit(f"{path.name} is recorded already, and must fold to the same for ever")
    with EmbeddedServer() as server:
        keys = Keys("golden")
        log, raw = Ledger(connect(server.url), keys), connect(server.url, decode=False)
        await STORIES[release](log)
        live = LiveLog(raw, keys)
        history = History(keys, live, None)
        lines = []
        async for chunk in history.chunks():
            for entry in chunk.entries:
                refused = chunk.buried.get(entry.id, "")
                lines.append({"id": entry.id, "refused": refused, "flat": [part.decode() for part in entry.flat]})
        digest = await digest_of(log.redis, keys)
        await raw.aclose()
        await log.redis.aclose()
    lines.append({"digest": digest})
    path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))


if __name__ == "__main__":
    anyio.run(record, sys.argv[1])
