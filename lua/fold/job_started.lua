-- The holder has begun. A node that has begun all it was given is trusted with twice as many unread assignments.
-- FIELDS: job_id:id node_id:id attempt:id
-- USES: context want touch held_job config whole room_of
local job = held_job(job_id, node_id, attempt)
if job.status == 'running' then
  return
end
local timeout, timer = tonumber(config('job_timeout_ms')), ''
if timeout > 0 then
  timer = 'run'
  want_member('ZADD', key.timers, whole(at + timeout), job_id)
elseif job.timer ~= '' then
  want_member('ZREM', key.timers, job_id)
end
want('HSET', key.job(job_id), 'status', 'running', 'started_ts', at_text, 'timer', timer)
if job.deliver then
  local info, room = key.node_info(node_id), room_of(node_id)
  if room.pending >= room.window then
    touch('node', node_id) -- it was closed; a node that was open stays so
  end
  room.pending = room.pending - 1
  if room.pending == 0 and room.window < limit.window then
    room.window = room.window * 2
    want_member('HSET', info, 'window', room.window)
  end
  want_member('HSET', info, 'pending', room.pending)
end
