-- The holder has begun.
-- FIELDS: job_id:id node_id:id attempt:id
-- USES: context want held_job config whole unread falls_due
local job = held_job(job_id, node_id, attempt)
if job.status == 'running' then
  return
end
local timeout, timer = config('job_timeout_ms'), ''
if timeout > 0 then
  timer = 'run'
  want_member('ZADD', key.timers, falls_due(whole(at + timeout)), job_id)
elseif job.timer ~= '' then
  want_member('ZREM', key.timers, job_id)
end
want('HSET', key.job(job_id), 'status', 'running', 'started_ts', at_text, 'timer', timer)
if job.deliver then
  begin(node_id)
end
