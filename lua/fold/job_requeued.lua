-- A job that a node could not or did not carry through waits again, away from that node if there is another one.
-- FACT: job_id node_id cause retry_ts refund stalled
local job = read_job(job_id)
local holds = stalled and rcall('SCARD', flush(key.node_jobs(node_id)))
if is_held(job) then
  release(job_id, job)
  bump('waiting')
  notify(job_id, job, cause)
else
  plan_member('ZREM', key.timers, job_id)
end
local timer = enqueue(job_id, job.src_lang, job.tgt_lang, job.order, retry_ts and tonumber(retry_ts))
plan_write('HSET', key.job(job_id), 'status', 'created', 'node_id', '', 'attempt', '', 'timer', timer, 'cause', cause)
if refund then
  -- it never began: this was no attempt of the job, but a miss of the node
  plan_write('HSET', key.job(job_id), 'attempts', job.attempts - 1)
  if cause ~= 'declined: full' then -- which speaks of the node
    plan_write('HSET', key.job(job_id), 'misses', job.misses + 1)
  end
else
  plan_write('HSET', key.job(job_id), 'begun_on', keep_last(job.begun_on, node_id))
  if job.begun then
    plan_write('HDEL', key.job(job_id), 'begun')
  end
end
if cause ~= 'declined: full' then
  plan_write('HSET', key.job(job_id), 'excluded', keep_last(job.excluded, node_id))
end
if stalled then
  -- it beats but does not take its assignments: closed until it says that it accepts
  plan_write('HSET', key.node_info(node_id), 'full_at', holds - 1)
  plan_member('HSET', key.node_info(node_id), 'window', '8')
  mark_dirty('node', node_id)
end
bump('requeued')
