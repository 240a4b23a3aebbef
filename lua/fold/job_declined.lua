-- The holder hands the job back. "full" speaks of the node: it gets no more until one of its jobs ends; any other reason
-- speaks of the job. An attempt that runs, or that may have begun as the node says (`begun`), counts. Where the job goes next is
-- decided at the tail.
-- FIELDS: job_id:id node_id:id attempt?:id reason?:text begun?:flag room?:room request_id?:id
if said_before_by_node(job_id, request_id) then
  return
end
local job = held_job(job_id, node_id, attempt)
release(job_id, job)
bump('waiting')
if room then
  say_room(node_id, room)
elseif reason == 'full' then
  plan_write('HSET', key.node_info(node_id), 'full_at', rcall('SCARD', flush(key.node_jobs(node_id))) - 1)
  mark_dirty('node', node_id)
end
plan_write('HSET', key.job(job_id), 'status', 'created', 'attempt', '', 'timer', 'retry', 'cause', 'declined: ' .. (reason or 'no reason given'))
if begun == 'true' or job.status == 'running' then
  plan_write('HSET', key.job(job_id), 'begun', 'true')
end
plan_member('ZADD', key.timers, '0', job_id)
