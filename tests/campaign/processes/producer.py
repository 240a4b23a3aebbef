"""A process that submits: ``python -m tests.campaign.processes.producer URL NAMESPACE FOLDER NAME RATE SEED``.

It speaks in every voice a producer has: ``submit`` awaited, ``submit`` cancelled half way, ``dispatch_task`` with the
completion behind it, cancellations, and bare ``XADD``, alone and in pipelines. Its journal holds everything it sends.
"""

from __future__ import annotations

import sys
from pathlib import Path
from random import Random
from typing import Any

import anyio
from redis.exceptions import RedisError

from streamsched.client.requests import CompleteTaskRequest, DispatchRequest, SubmitRequest
from streamsched.client.results import Job
from streamsched.client.scheduler import Scheduler
from streamsched.contract.errors import SchedulerError
from streamsched.contract.events import JobStatus, JobSubmitted
from streamsched.contract.wire import to_wire
from streamsched.demo.link import Leave, commands
from streamsched.ops import logs

from ..checker.journal import Journal, journalled

PAIRS = (("en", "zh"), ("zh", "en"), ("en", "de"))
PATIENCE_S = 20.0
VOICES = {"submit": 60, "cancelled": 10, "dispatch": 10, "taken back": 5, "xadd": 10, "pipeline": 5}
"""In how many of a hundred turns it speaks in which voice."""


class Producer:
    """One producer process."""

    def __init__(self, scheduler: Scheduler, journal: Journal, name: str, seed: int) -> None:
        self.scheduler, self.journal, self.name = scheduler, journal, name
        self.random = Random(seed)
        self.turns = 0
        self.stopping = anyio.Event()

    async def speak(self, rate: float) -> None:
        """Take ``rate`` turns a second until it is stopped; then wait for what is under way."""
        async with anyio.create_task_group() as group:
            while not self.stopping.is_set():
                group.start_soon(self._turn)
                with anyio.move_on_after(self.random.expovariate(rate)):
                    await self.stopping.wait()

    async def _turn(self) -> None:
        self.turns += 1
        voice = self.random.choices(list(VOICES), list(VOICES.values()))[0]
        source, target = self.random.choice(PAIRS)
        session = f"{self.name}-s{self.random.randrange(20)}"
        work = f'{{"ms":{self.random.randrange(5, 60)},"failing":{int(self.random.random() < 0.05)}}}'
        asked = SubmitRequest(session_id=session, src_lang=source, tgt_lang=target, payload_json=work)
        try:
            match voice:
                case "xadd" | "pipeline":
                    await self._xadd(asked, 1 if voice == "xadd" else 5)
                case "dispatch":
                    await self._dispatch(asked)
                case _:
                    await self._submit(asked, voice)
        except (SchedulerError, RedisError, OSError):
            return  # the journal has it

    async def _submit(self, request: SubmitRequest, voice: str) -> None:
        # cancelled within the time that a round trip takes, so that some are under way, some answered, some unsent
        within = self.random.uniform(0, 0.004) if voice == "cancelled" else None
        with anyio.move_on_after(within):
            job = await self.scheduler.submit(request)
            if voice == "taken back":
                await self.scheduler.cancel(job.job_id)
            await self._wait_for(job)

    async def _wait_for(self, job: Job) -> None:
        self.journal.waits(job.job_id)
        try:
            result = await job.result()
        except (SchedulerError, RedisError) as problem:
            self.journal.told(job.job_id, getattr(problem, "code", repr(problem)))
            raise
        except anyio.get_cancelled_exc_class():
            self.journal.left(job.job_id)
            raise
        self.journal.reported(job.job_id, result.status)

    async def _dispatch(self, asked: SubmitRequest) -> None:
        """Have a node chosen, and act as that node."""
        request = DispatchRequest(
            session_id=asked.session_id,
            src_lang=asked.src_lang,
            tgt_lang=asked.tgt_lang,
            payload_json=asked.payload_json,
        )
        job = await self.scheduler.dispatch_task(request)
        await anyio.sleep(0.01)
        done = CompleteTaskRequest(
            job_id=job.job_id, node_id=job.node_id, attempt=job.attempt, status=JobStatus.FINISHED
        )
        await self.scheduler.complete_task(done)

    async def _xadd(self, asked: SubmitRequest, count: int) -> None:
        """Append without an identity, as a program in any language may: sent once, and in doubt if no answer comes."""
        partition: Any = self.scheduler.partition
        about = to_wire(
            JobSubmitted(
                session_id=asked.session_id,
                src_lang=asked.src_lang,
                tgt_lang=asked.tgt_lang,
                payload_json=asked.payload_json,
            )
        )
        events = [[*about, "intent", f"{self.name}-{self.random.getrandbits(48):x}"] for _ in range(count)]
        numbers = [self.journal.intent(event, 1) for event in events]
        try:
            async with partition.redis.pipeline(transaction=False) as pipe:
                for event in events:
                    pipe.xadd(partition.keys("events"), dict(zip(event[::2], event[1::2], strict=True)))
                for n, reply in zip(numbers, await pipe.execute(raise_on_error=False), strict=True):
                    if isinstance(reply, Exception):
                        self.journal.refused(n, str(reply))
                    else:
                        self.journal.ack(n, reply)
        except BaseException as problem:
            for n in numbers:
                self.journal.doubt(n, type(problem).__name__)
            raise


async def main(*arguments: str) -> None:
    """Speak until the driver says ``leave`` or is gone; then wait for the results."""
    url, namespace, folder, name, rate, seed = arguments
    async with Scheduler.connect(url, namespace, patience_s=PATIENCE_S) as scheduler:
        journal = Journal(Path(folder) / f"{name}.journal")
        journalled(scheduler.partition, journal)
        producer = Producer(scheduler, journal, name, int(seed))

        async def listen() -> None:
            async for command in commands():
                if isinstance(command, Leave):
                    break
            producer.stopping.set()

        async with anyio.create_task_group() as group:
            group.start_soon(listen)
            await producer.speak(float(rate))
            group.cancel_scope.cancel()


if __name__ == "__main__":
    logs.configure()
    anyio.run(main, *sys.argv[1:])
