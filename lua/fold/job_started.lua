-- The holder has begun. A node that has begun all it was given is trusted with twice as many unread assignments.
-- FIELDS: job_id:id node_id:id attempt:id
-- USES: context want touch bump held_job config whole
local job = held_job(job_id, node_id, attempt)
if job.status == 'running' then
  return
end
local timeout, timer = tonumber(config('job_timeout_ms')), ''
if timeout > 0 then
  timer = 'run'
  want('ZADD', key.timers, whole(at + timeout), job_id)
elseif job.timer ~= '' then
  want('ZREM', key.timers, job_id)
end
want('HSET', key.job(job_id), 'status', 'running', 'started_ts', at_text, 'timer', timer)
if job.deliver then
  local info = key.node_info(node_id)
  local v = rcall('HMGET', info, 'pending', 'window')
  local pending, window = tonumber(v[1]) - 1, tonumber(v[2])
  if pending == 0 and window < limit.window then
    want('HSET', info, 'pending', 0, 'window', window * 2)
  else
    want('HSET', info, 'pending', pending)
  end
  touch('node', node_id)
end
