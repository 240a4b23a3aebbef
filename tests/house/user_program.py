"""What a user writes, with every public call: mypy checks it, with no ``Any`` permitted in it (pyproject.toml)."""

from __future__ import annotations

import asyncio

from streamsched import (
    Affinity,
    Assignment,
    CompleteTaskRequest,
    Dispatched,
    DispatchRequest,
    HeartbeatRequest,
    Job,
    JobFailed,
    JobResult,
    JobState,
    JobStatus,
    Keys,
    NoAvailableNode,
    Node,
    Overloaded,
    RegisterNodeRequest,
    ResultTimeout,
    Scheduler,
    SchedulerError,
    SubmitRequest,
    Task,
    Worker,
    health_probe,
)

URL = "redis://localhost:6379"


async def four_calls() -> None:
    async with Scheduler.connect(URL) as scheduler:
        await scheduler.register_node(RegisterNodeRequest(node_id="n1", cap_json="{}", pool_names_json="[]"))
        await scheduler.heartbeat(HeartbeatRequest(node_id="n1", online=True))
        request = DispatchRequest(session_id="s1", src_lang="zh", tgt_lang="en", payload_json="{}")
        try:
            job: Dispatched = await scheduler.dispatch_task(request)
        except NoAvailableNode as problem:
            print(problem.code, problem.detail)
            return
        await scheduler.complete_task(
            CompleteTaskRequest(
                job_id=job.job_id, node_id=job.node_id, status=JobStatus.FINISHED, attempt=job.attempt, result_json="{}"
            )
        )


async def submit() -> str:
    async with Scheduler.connect(URL, "scheduler", 0, 5.0) as scheduler:
        request = SubmitRequest(
            session_id="s1", src_lang="zh", tgt_lang="en", payload_json="{}", priority=5, affinity=Affinity.NONE
        )
        try:
            job: Job = await scheduler.submit(request)
            result: JobResult = await job.result(timeout=10)
        except Overloaded as problem:
            return f"later: {problem.retry_after_ms}"
        except ResultTimeout:
            await scheduler.cancel(job.job_id, "too late")
            return "cancelled"
        except SchedulerError as problem:
            return problem.detail
        jobs: list[Job] = await scheduler.submit_many([request, request], reply=False)
        await scheduler.release_session("s1")
        return result.result_json if result.status is JobState.FINISHED else f"{result.error} {len(jobs)}"


def arbiter(assignment: Assignment) -> bool | str:
    return len(assignment.payload_json) < 1000 or "too long"


async def translate(assignment: Assignment) -> str:
    if not assignment.payload_json:
        raise JobFailed("nothing to translate")
    await asyncio.sleep(0.1)
    return assignment.payload_json.upper()


def translate_in_a_thread(assignment: Assignment) -> dict[str, str]:
    return {"text": assignment.payload_json}


async def serve() -> None:
    async with Scheduler.connect(URL) as scheduler:
        node = Node(
            scheduler, "n1", pools=["en-zh", {"name": "zh-Hant-en", "languages": ["zh-Hant", "en"]}], arbiter=arbiter
        )
        async with node:
            await node.run(translate)
            await node.run(translate_in_a_thread)
            async for task in node:
                await work(task)
            node.stop()
            print(node.trouble, node.leaving, node.concurrency, node.tasks)


async def work(task: Task) -> None:
    with task.scope:
        await task.progress('{"percent": 50}')
        if task.attempts > 1:
            await task.hand_back("too hot")
        elif task.revoked is None:
            await task.complete(task.payload_json + task.src_lang + task.tgt_lang + task.session_id + task.job_id)
        else:
            await task.fail("no")


async def fold() -> None:
    worker = Worker(URL, Keys("scheduler", 0), batch=256)
    with health_probe(worker, "127.0.0.1", 8080) as port:
        print(port, worker.healthy, worker.status, worker.problem)
        await worker.run()
        worker.stop()
