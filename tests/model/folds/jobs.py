"""Jobs, as producers and nodes speak of them: submitted, started, handed back, ended."""

from __future__ import annotations

from ..contract import ID_BYTES, KEPT_DROPS, KEPT_JOB, PRIORITY_STEP
from ..refusals import Refused
from ..state import HELD, TERMINAL, Job, State
from .ended import purge
from .load import admit
from .nodes import begun_all, learn_speed, says_room
from .registry import Entry, folds
from .requests import remember, said_of
from .sources import charge, speaker

CONTENT = (
    "session_id",
    "src_lang",
    "tgt_lang",
    "payload_json",
    "priority",
    "deadline_ts",
    "not_before_ts",
    "max_attempts",
    "affinity",
    "immediate",
    "deliver",
)
"""What makes two submissions the same. Where the answer goes, and in which trace, does not: a client that restarted has
another address."""


def queue(job: Job, at: int, until_ts: int | None) -> None:
    """Let a job wait: for a node, or first for its time."""
    if until_ts is not None and until_ts > at:
        job.wait_for("due", until_ts)
    else:
        job.timer = ""


def let_go(state: State, job_id: str, job: Job) -> None:
    """Take a job off the node that holds it."""
    node = state.nodes[job.node_id or ""]
    if job_id not in node.unread:
        node.count_room(1)
    node.held.discard(job_id)
    node.unread.discard(job_id)


def end(state: State, entry: Entry, job_id: str, job: Job, status: str, error: str | None) -> None:
    """End a job for good."""
    if job.status in HELD:
        let_go(state, job_id, job)
    job.status, job.finished_ts, job.timer = status, entry.at, ""
    if error is not None:
        job.error = error
    state.ended.append((entry.at, job_id))
    state.counted[status] += 1
    if job.source in state.sources:
        charge(state.sources[job.source], -1, -job.payload_bytes)
        keep(state, entry, job_id, job)


def keep(state: State, entry: Entry, job_id: str, job: Job) -> None:
    """Keep an ended job of a source; beyond its quota the oldest go."""
    source = state.sources[job.source or ""]
    size = job.payload_bytes + KEPT_JOB + (0 if job.result_source else job.result_bytes)
    total, drops = (source.kept_bytes or 0) + size, 0
    while source.kept and total > source.bytes and drops < KEPT_DROPS:
        ended_ts, kept_bytes, kept_id = source.kept.popleft()
        total, drops = total - kept_bytes, drops + 1
        purge(state, ended_ts, kept_id)
    source.kept.append((entry.at, size, job_id))
    source.kept_bytes = total


def hand_back(state: State, job_id: str, job: Job, cause: str) -> None:
    """Take a job off its node, for the scheduler to say at its next decision where it goes."""
    let_go(state, job_id, job)
    job.status, job.attempt, job.cause = "created", "", cause
    job.wait_for("retry", 0)


def differs(job: Job, raw: dict[str, str], name: str) -> bool:
    """Whether a submission says something else than the one that made the job; a source may ask for too much time."""
    known, said = job.asked.get(name), raw.get(name)
    if name == "deadline_ts" and job.source and (said is None or int(said) > int(known or 0)):
        return False
    return known != said


@folds("job.submitted")
def submitted(
    state: State,
    entry: Entry,
    session_id: str,
    src_lang: str,
    tgt_lang: str,
    job_id: str | None,
    priority: int | None,
    deadline_ts: int | None,
    not_before_ts: int | None,
    immediate: str | None,
    request_id: str | None,
    carries: str | None,
    **more: object,
) -> None:
    """A session asks for work; asking twice with the same id is one job, if all else is the same."""
    job_id = job_id or f"{session_id}:{request_id or entry.entry_id}"
    if len(job_id.encode()) > ID_BYTES:
        raise Refused("INVALID_FIELD")
    if job_id in state.jobs:
        if any(differs(state.jobs[job_id], entry.raw, name) for name in CONTENT):
            raise Refused("JOB_CONFLICT")
        if carries == state.jobs[job_id].submit_id and state.jobs[job_id].status not in TERMINAL:
            state.jobs[job_id].submit_id = entry.entry_id
        return
    if carries is not None:
        raise Refused("UNKNOWN_JOB")
    source = speaker(state, entry.raw)
    future = deadline_ts is None or deadline_ts > entry.at
    if source:
        deadline_ts = min(deadline_ts or 10**15, entry.at + source.max_age_ms)
    meant = (
        src_lang != tgt_lang
        and future
        and (deadline_ts is None or not_before_ts is None or not_before_ts < deadline_ts)
        and not (immediate == "true" and not_before_ts is not None)
        and not 0 < (not_before_ts or 0) < 10**11
    )
    if not meant:
        raise Refused("INVALID_FIELD")
    if immediate != "true":
        admit(state)
    asked = {name: entry.raw[name] for name in (*CONTENT, "reply_to", "traceparent") if name in entry.raw}
    order = state.counted["submitted"] - (priority or 0) * PRIORITY_STEP
    job = Job(asked=asked, submit_id=entry.entry_id, order=order, created_ts=entry.at)
    if source:
        if str(deadline_ts) != asked.get("deadline_ts", "").lstrip("0"):
            asked["deadline_ts"] = str(deadline_ts)
        if (source.living or 0) >= source.jobs or (source.living_bytes or 0) + job.payload_bytes > source.bytes:
            raise Refused("QUOTA_EXCEEDED")
        charge(source, 1, job.payload_bytes)
        job.source = entry.raw["source"]
    if immediate == "true":
        job.wait_for("decide", 0)
    else:
        queue(job, entry.at, not_before_ts)
    state.jobs[job_id] = job
    state.counted["submitted"] += 1


def held(state: State, job_id: str, node_id: str, attempt: str | None) -> Job:
    """Return a job that this node holds under this attempt; no other node may report on it.

    Raises:
        Refused: with the reason.
    """
    job = state.jobs.get(job_id)
    if job is None:
        raise Refused("UNKNOWN_JOB")
    if job.status in TERMINAL:
        raise Refused("ALREADY_TERMINAL")
    if job.status not in HELD or (attempt is not None and attempt != job.attempt):
        raise Refused("STALE_ATTEMPT")
    if node_id != job.node_id:
        raise Refused("NODE_MISMATCH")
    return job


def limit_run(state: State, job: Job, at: int) -> None:
    """Give a job its time to run, if there is a limit."""
    timeout = state.config("job_timeout_ms")
    if timeout:
        job.wait_for("run", at + timeout)
    else:
        job.timer = ""


def begin(state: State, job_id: str, job: Job, node_id: str) -> None:
    """Note that a node has begun a job."""
    job.status = "running"
    if job.delivered:
        state.nodes[node_id].unread.discard(job_id)
        state.nodes[node_id].count_room(-1)
        begun_all(state.nodes[node_id])


@folds("job.started")
def started(state: State, entry: Entry, job_id: str, node_id: str, attempt: str, room: int | None) -> None:
    """The holder has begun; saying so twice changes nothing."""
    job = held(state, job_id, node_id, attempt)
    if job.status == "running":
        return
    job.started_ts = entry.at
    begin(state, job_id, job, node_id)
    limit_run(state, job, entry.at)
    says_room(state.nodes[node_id], entry.at, room)


@folds("job.progressed")
def progressed(
    state: State,
    entry: Entry,
    job_id: str,
    node_id: str,
    attempt: str,
    progress_json: str | None,
    request_id: str | None,
) -> None:
    """The holder reports progress: its time limit restarts, if it has one."""
    if said_of(state.jobs.get(job_id), request_id):
        return
    job = held(state, job_id, node_id, attempt)
    remember(job, request_id)
    job.progressed_ts = entry.at
    if progress_json is not None:
        job.progress_json = progress_json
    if job.timer == "run" and state.config("job_timeout_ms"):
        limit_run(state, job, entry.at)


@folds("job.declined")
def declined(
    state: State,
    entry: Entry,
    job_id: str,
    node_id: str,
    attempt: str,
    reason: str | None,
    begun: str | None,
    room: int | None,
    request_id: str | None,
) -> None:
    """The holder hands the job back; ``full`` also says how many jobs it can hold: those that it is left with."""
    if said_of(state.jobs.get(job_id), request_id):
        return
    job = held(state, job_id, node_id, attempt)
    remember(job, request_id)
    job.begun = job.status == "running" or begun == "true"
    hand_back(state, job_id, job, f"declined: {reason or 'no reason given'}")
    node = state.nodes[node_id]
    if reason == "full" and room is None:
        node.full_at = len(node.held)
    says_room(node, entry.at, room)


@folds("job.completed")
def completed(
    state: State,
    entry: Entry,
    job_id: str,
    node_id: str,
    status: str,
    attempt: str | None,
    result_json: str | None,
    error: str | None,
    ran_ms: int | None,
    room: int | None,
    request_id: str | None,
) -> None:
    """The holder ends the job, or fails; what it said before it may say again."""
    job = state.jobs.get(job_id)
    if job and (said_before(job, node_id, status, attempt) or said_of(job, request_id)):
        return
    job = held(state, job_id, node_id, attempt)
    remember(job, request_id)
    if ran_ms is not None and job.status == "dispatched":  # its start was not reported
        job.started_ts = max(entry.at - ran_ms, int((job.attempt or "").split("-")[0]))
        begin(state, job_id, job, node_id)
    if status == "failed" and job.delivered and job.attempts < state.max_attempts(job):
        job.failed_attempt, job.error = job.attempt, error or ""
        hand_back(state, job_id, job, "failed")
    else:
        if result_json is not None:
            job.result_json = result_json
            if teller := speaker(state, entry.raw):
                kept = (teller.result_bytes or 0) + job.result_bytes
                if kept <= teller.bytes:
                    teller.result_bytes, job.result_source = kept, entry.raw["source"]
                else:
                    gone = (
                        f"the result of {job.result_bytes} bytes is not kept: source {entry.raw['source']} has as many"
                    )
                    error = error or f"{gone} bytes of results as it may"
                    job.result_json = None
        end(state, entry, job_id, job, status, error)
        if status == "finished" and job.started_ts is not None:
            learn_speed(state, state.nodes[node_id], job.pair, entry.at, entry.at - job.started_ts)
    says_room(state.nodes[node_id], entry.at, room)


def said_before(job: Job, node_id: str, status: str, attempt: str | None) -> bool:
    """Whether this very completion was accepted before."""
    if status == "failed" and attempt is not None and attempt == job.failed_attempt:
        return True
    return job.status == status and job.node_id == node_id and attempt in (None, job.attempt)


@folds("job.cancelled")
def cancelled(state: State, entry: Entry, job_id: str, reason: str | None) -> None:
    """The job was cancelled."""
    job = state.jobs.get(job_id)
    if job is None:
        raise Refused("UNKNOWN_JOB")
    if job.status == "cancelled":
        return
    if job.status in TERMINAL:
        raise Refused("ALREADY_TERMINAL")
    end(state, entry, job_id, job, "cancelled", reason)


@folds("session.released")
def released(state: State, entry: Entry, session_id: str) -> None:
    """A conversation is over: its next job may go anywhere."""
    state.sessions.pop(session_id, None)
