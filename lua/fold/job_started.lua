-- The holder has begun.
-- FIELDS: job_id:id node_id:id attempt:id room?:room
local job = held_job(job_id, node_id, attempt)
if job.status == 'running' then
  return
end
local timeout, timer = config('job_timeout_ms'), ''
if timeout > 0 then
  timer = 'run'
  plan_member('ZADD', key.timers, note_due(format_int(at + timeout)), job_id)
elseif job.timer ~= '' then
  plan_member('ZREM', key.timers, job_id)
end
plan_write('HSET', key.job(job_id), 'status', 'running', 'started_ts', at_text, 'timer', timer)
if job.deliver then
  start_in_flight(node_id)
end
if room then
  say_room(node_id, room)
end
