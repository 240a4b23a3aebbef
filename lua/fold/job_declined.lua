-- The holder hands the job back. "full" speaks of the node: it gets no more until something ends; any other reason
-- speaks of the job. Where the job goes next is decided at the tail.
-- FIELDS: job_id:id node_id:id attempt?:id reason?:text request_id?:id
-- USES: context want bump held_job release written told_before touch
if told_before(job_id, request_id) then
  return
end
local job = held_job(job_id, node_id, attempt)
release(job_id, job)
bump('waiting')
if reason == 'full' then
  want('HSET', key.node_info(node_id), 'full_at', rcall('SCARD', written(key.node_jobs(node_id))) - 1)
  touch('node', node_id)
end
want('HSET', key.job(job_id), 'status', 'created', 'attempt', '', 'timer', 'retry', 'cause', 'declined: ' .. (reason or 'no reason given'))
want_member('ZADD', key.timers, '0', job_id)
