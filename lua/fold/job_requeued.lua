-- A job that a node could not or did not carry through waits again, away from that node if there is another one.
-- FACT: job_id node_id cause retry_ts refund stalled
-- USES: context want bump read_job is_held release notify enqueue exclude written touch
local job = read_job(job_id)
local held = stalled and rcall('SCARD', written(key.node_jobs(node_id)))
if is_held(job) then
  release(job_id, job)
  bump('waiting')
  notify(job_id, job, cause)
else
  want_member('ZREM', key.timers, job_id)
end
local timer = enqueue(job_id, job.src_lang, job.tgt_lang, job.order, retry_ts and tonumber(retry_ts))
want('HSET', key.job(job_id), 'status', 'created', 'node_id', '', 'attempt', '', 'timer', timer, 'cause', cause)
if refund then
  -- it never began: this was no attempt of the job's, but a miss of the node's
  want('HSET', key.job(job_id), 'attempts', job.attempts - 1, 'misses', job.misses + 1)
end
if cause ~= 'declined: full' then
  want('HSET', key.job(job_id), 'excluded', exclude(job.excluded, node_id))
end
if stalled then
  -- it beats but does not take what it is given: closed until it says that it accepts
  want('HSET', key.node_info(node_id), 'full_at', held - 1)
  want_member('HSET', key.node_info(node_id), 'window', '8')
  touch('node', node_id)
end
bump('requeued')
