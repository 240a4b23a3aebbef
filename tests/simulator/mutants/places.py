"""Guards of who gets which job, and of where a job waits."""

from __future__ import annotations

from ...support.planting import Bug

PLACES = [
    Bug(
        "indexes are settled between two decisions",
        "a job goes to a node that is full",
        "call/log",
        "  reindex_nodes_and_pools()\n",
        "",
    ),
    Bug(
        "indexes are settled before a call ends",
        "the next one chooses by what was",
        "call/close",
        "  reindex()\n",
        "",
    ),
    Bug(
        "a job goes elsewhere before it goes back",
        "it is sent to the node that failed it",
        "decide/choose_node",
        "excluded[node_id] and stale or fresh",
        "fresh",
    ),
    Bug(
        "a window bounds what a node has not begun",
        "a node that takes nothing is sent everything",
        "state/index",
        "and tonumber(v[4]) < tonumber(v[5])",
        "",
    ),
    Bug(
        "jobs of a paused pair wait",
        "they go to nodes all the same",
        "state/pool",
        "config('paused') and",
        "false and",
    ),
    Bug(
        "a paused pool is not open",
        "its nodes get new jobs",
        "state/index",
        "not v[3] and",
        "",
    ),
    Bug(
        "what is paused twice is counted once",
        "it stays paused for the count once it is resumed",
        "state/pool",
        "if paused ~= was_paused then",
        "if paused or was_paused then",
    ),
    Bug("attempts are counted", "a job that fails is tried for ever", "state/job_end", "tonumber(v[1] or 0)", "0"),
    Bug(
        "an attempt that never began is not counted",
        "a job ends because no node had room for it",
        "decide/requeue",
        "local began = failed or",
        "local began = true or",
    ),
    Bug(
        "an attempt that may have begun is counted when it is handed back",
        "a job that takes its node down is tried for ever",
        "decide/requeue",
        "or job.begun and true",
        "",
    ),
    Bug(
        "the end of a job names the nodes that it began on",
        "the nodes that it took down stay unknown",
        "job.requeued",
        "plan_write('HSET', key.job(job_id), 'begun_on', keep_last(job.begun_on, node_id))",
        "",
    ),
    Bug(
        "a job that leaves its node leaves its list",
        "one job is held by two nodes",
        "state/job_end",
        "hold(job.node_id, job_id, -1)",
        "",
    ),
    Bug(
        "a job that is dispatched leaves its queue",
        "it is dispatched again",
        "job.dispatched",
        "plan_member('ZREM', key.waiting(job.src_lang, job.tgt_lang), job_id)",
        "",
    ),
    Bug(
        "an ended job has no deadline",
        "it ends a second time",
        "state/job_end",
        "plan_write('ZREM', key.deadlines, job_id)",
        "",
    ),
    Bug(
        "an earlier process of a node is refused",
        "two processes are one node",
        "node.heartbeat",
        "present and present ~= incarnation",
        "false",
    ),
    Bug(
        "jobs of a node that went are given to others",
        "they are held for ever",
        "state/index",
        "rcall('SADD', key.lost, node_id)",
        "rcall('SREM', key.lost, node_id)",
    ),
    Bug(
        "a priority goes before the order of submission",
        "it means nothing",
        "job.submitted",
        "tonumber(priority or 0)",
        "0",
    ),
    Bug(
        "buffered writes are flushed before a read",
        "a decision sees what was",
        "plan/buffer",
        "  if command then",
        "  if command and #command > 30 then",
    ),
]
