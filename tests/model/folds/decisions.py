"""Jobs, as the scheduler decides about them; each decision is held against what could have led to it."""

from __future__ import annotations

from ..contract import FIRST_WINDOW, LONGEST_PAUSE_MS, MOST_MISSES, REMEMBERED_NODES
from ..refusals import require
from ..state import HELD, TERMINAL, Job, Session, State
from .jobs import end, let_go, limit_run, queue
from .registry import Entry, folds


def alive(state: State, job_id: str) -> Job:
    """Return the job of a decision, which has not ended."""
    require(job_id in state.jobs, f"there is no job {job_id}")
    job = state.jobs[job_id]
    require(job.status not in TERMINAL, f"{job_id} is {job.status}")
    return job


@folds("job.dispatched")
def dispatched(
    state: State,
    entry: Entry,
    job_id: str,
    node_id: str,
    pool_id: str,
    nonce: str,
    seen: str,
    why: str,
    affinity: str,
) -> None:
    """A waiting job goes to an open node of a pool that serves its pair, under a token of its own."""
    job = alive(state, job_id)
    require(job.status == "created" and job.timer in ("", "decide"), f"{job_id} does not wait for a node")
    require(node_id in state.nodes and state.nodes[node_id].is_open, f"{node_id} may not receive a job now")
    require(pool_id in state.nodes[node_id].pools, f"{node_id} is not in the pool {pool_id}")
    require(state.pools[pool_id].serves(*job.pair), f"{pool_id} does not serve {job.pair}")
    require(f"pool {pool_id}" not in state.paused and not state.pair_paused(job.pair), f"{job_id} has to wait")
    require(node_id not in job.excluded or why == "last_resort", f"{job_id} has been to {node_id} before")
    session = state.sessions.get(job.asked["session_id"])
    # the session may have gone with the time that this very fact let pass
    require(affinity != "kept" or session is None or session.node_id == node_id, "no such affinity")

    job.status, job.node_id, job.pool_id = "dispatched", node_id, pool_id
    job.attempt, job.attempts, job.dispatched_ts = f"{entry.entry_id}-{nonce}", job.attempts + 1, entry.at
    node = state.nodes[node_id]
    node.held.add(job_id)
    if job.delivered:
        node.unread.add(job_id)
        timeout = state.config("accept_timeout_ms")
        job.timer, job.due_ts = ("accept", entry.at + timeout) if timeout else ("", 0)
    else:
        node.count_room(-1)
        limit_run(state, job, entry.at)
    state.sessions[job.asked["session_id"]] = Session(pool_id, ":".join(job.pair), node_id, job_id)
    state.counted["dispatched"] += 1


@folds("job.refused")
def refused(state: State, entry: Entry, job_id: str, code: str, detail: str) -> None:
    """A job that had to be dispatched at once could not be."""
    job = alive(state, job_id)
    require(job.timer == "decide", f"{job_id} can wait")
    pools = set(state.pools_of(job.pair))
    members = [node for node in state.nodes.values() if pools & set(node.pools)]
    running = {pool_id for pool_id in pools if f"pool {pool_id}" not in state.paused}
    in_running = [node for node in members if running & set(node.pools)]
    paused = state.pair_paused(job.pair)
    require(paused or not any(node.is_open for node in in_running), f"there is a node for {job_id}")
    lacking = "NO_AVAILABLE_NODE" if in_running else "EMPTY_POOL" if pools else "NO_POOL_FOR_LANG_PAIR"
    if paused or (members and not in_running):
        lacking = "PAUSED"
    require(code == lacking, f"the code for it is {lacking}")
    end(state, entry, job_id, job, "refused", f"{code} {detail}")


def counts(job: Job, cause: str) -> bool:
    """Whether an attempt had begun when it came to its end."""
    return cause in ("failed", "job timeout") or (cause == "node lost" and job.status == "running") or job.begun


def with_node(nodes: list[str], node_id: str) -> list[str]:
    """Add a node to a list that keeps the last few."""
    return [*(other for other in nodes if other != node_id), node_id][-REMEMBERED_NODES:]


def missed_too_often(job: Job, cause: str) -> bool:
    """Whether a job has been handed back so often without being begun that it is given up."""
    return not counts(job, cause) and cause != "declined: full" and job.misses + 1 >= MOST_MISSES


def fell_due(state: State, entry: Entry, job: Job, timer: str) -> bool:
    """Whether a limit ran out, and not while the scheduler was away."""
    if job.timer != timer or job.due_ts > entry.at:
        return False
    return not missed(state, job)


def missed(state: State, job: Job) -> bool:
    """Whether a job's limit ran out while the scheduler was away."""
    return (state.resumed_since_ts or 0) < job.due_ts <= (state.resumed_ts or 0)


def justified(state: State, entry: Entry, job: Job, cause: str) -> bool:
    """Whether a job had to leave its node, or had been handed back, for this cause."""
    if cause == "node lost":
        return job.status in HELD and not state.nodes[job.node_id or ""].online
    if cause == "accept timeout":
        return job.status == "dispatched" and fell_due(state, entry, job, "accept")
    if cause == "job timeout":
        return job.status in HELD and fell_due(state, entry, job, "run")
    return job.timer == "retry" and cause == job.cause


@folds("job.requeued")
def requeued(
    state: State,
    entry: Entry,
    job_id: str,
    node_id: str,
    cause: str,
    retry_ts: str | None,
    refund: str | None,
    stalled: str | None,
) -> None:
    """A job waits again, away from the node that could not or did not carry it through."""
    job = alive(state, job_id)
    began = counts(job, cause)
    require(job.delivered, f"{job_id} is delivered by its caller")
    require(job.node_id == node_id, f"{job_id} was with {job.node_id}")
    require(justified(state, entry, job, cause), f"{job_id}: {cause}? it is {job.status}, {job.timer} at {job.due_ts}")
    require(not began or job.attempts < state.max_attempts(job), f"{job_id} has no attempt left")
    require(not missed_too_often(job, cause), f"{job_id} was handed back too often")
    require((refund is None) == began, f"an attempt counts if it began: {began}")
    require((stalled is not None) == (cause == "accept timeout"), "only who does not take its jobs is stalled")
    pause = int(retry_ts) - entry.at if retry_ts is not None else 0
    require(0 <= pause <= LONGEST_PAUSE_MS, f"a pause of {pause} ms")

    if job.status in HELD:
        let_go(state, job_id, job)
    queue(job, entry.at, entry.at + pause)
    job.status, job.node_id, job.attempt, job.cause = "created", "", "", cause
    if refund:
        job.attempts -= 1
        if cause != "declined: full":
            job.misses += 1
    else:
        job.begun, job.begun_on = False, with_node(job.begun_on, node_id)
    if cause != "declined: full":
        job.excluded = with_node(job.excluded, node_id)
    if stalled:
        node = state.nodes[node_id]
        node.full_at, node.window = len(node.held), FIRST_WINDOW
    state.counted["requeued"] += 1


@folds("job.exhausted")
def exhausted(state: State, entry: Entry, job_id: str, cause: str, nodes: str | None) -> None:
    """No attempt is left, or the job cannot be delivered a second time."""
    job = alive(state, job_id)
    causes = ["node lost", "accept timeout", "job timeout", *([job.cause] if job.cause else [])]
    why = next((known for known in causes if cause.startswith(f"{known}: ")), "")
    require(justified(state, entry, job, why), f"{job_id}: {cause}? it is {job.status}, {job.timer} at {job.due_ts}")
    spent = counts(job, why) and job.attempts >= state.max_attempts(job)
    require(spent or missed_too_often(job, why) or not job.delivered, f"{job_id} has an attempt left")
    began_on = with_node(job.begun_on, job.node_id or "") if counts(job, why) else job.begun_on
    require((nodes or "") == "\n".join(began_on), f"{job_id} began on {began_on}")
    job.begun_on = began_on
    end(state, entry, job_id, job, "failed", cause)


@folds("job.expired")
def expired(state: State, entry: Entry, job_id: str) -> None:
    """A job's deadline has passed."""
    job = alive(state, job_id)
    require(job.deadline_ts is not None and job.deadline_ts <= entry.at, f"{job_id} has time until {job.deadline_ts}")
    end(state, entry, job_id, job, "expired", f"deadline_ts {job.asked['deadline_ts']} has passed")


@folds("job.due")
def due(state: State, entry: Entry, job_id: str) -> None:
    """A job's time has come: it waits for a node now."""
    job = alive(state, job_id)
    require(job.timer == "due" and job.due_ts <= entry.at, f"{job_id} is not due")
    job.timer = ""


@folds("job.extended")
def extended(state: State, entry: Entry, job_id: str, until_ts: str) -> None:
    """A limit that ran out while the scheduler was away restarts."""
    job = alive(state, job_id)
    limits = {"accept": "accept_timeout_ms", "run": "job_timeout_ms"}
    require(job.timer in limits and missed(state, job), f"{job_id} missed nothing")
    require(int(until_ts) == entry.at + state.config(limits[job.timer]), "a whole limit, from now")
    job.due_ts = int(until_ts)
