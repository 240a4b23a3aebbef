-- A job leaves its node, ends, and is dropped when its retention is over.

-- Take a held job off its node.
local function release(job_id, job)
  hold(job.node_id, job_id, -1)
  if job.timer ~= '' then
    plan_member('ZREM', key.timers, job_id)
  end
  if job.status == 'dispatched' and job.deliver then
    count_in_flight(job.node_id, -1, 0)
  else
    count_in_flight(job.node_id, 0, 1)
  end
  bump('held', -1)
  if not room_of(job.node_id).open then
    mark_node_dirty(job.node_id) -- one job less may open a node that is closed
  end
end

-- Whether a job that has failed on its node has an attempt left.
local function has_attempts_left(job_id, job)
  if not job.deliver then
    return false -- only its caller could send it to another node
  end
  local v = rcall('HMGET', key.job(job_id), 'attempts', 'max_attempts')
  return tonumber(v[1] or 0) < tonumber(v[2] or config('max_attempts'))
end

-- Drop jobs whose retention is over by the time of this event: at most two an event, so that its cost stays flat,
-- and by event time, so that a replay drops the same ones. A session goes with its last job.
local oldest_ended_ts -- nil: not read yet; huge: there is none
local function expect_ended() -- a job ends now
  if oldest_ended_ts == math.huge then
    oldest_ended_ts = nil
  end
end
local function purge_ended()
  for _ = 1, 2 do
    if not oldest_ended_ts then
      local head = rcall('LINDEX', flush(key.ended), '0')
      oldest_ended_ts = head and tonumber(match(head, '^%d+')) or math.huge
    end
    if oldest_ended_ts == math.huge or oldest_ended_ts + config('retention_ms') > at then
      return
    end
    raise_fence(folding)
    local job_id = match(rcall('LPOP', flush(key.ended)), '^%d+ (.*)$')
    local session_id = rcall('HGET', key.job(job_id), 'session_id')
    local session = session_id and session_key(session_id)
    if session and rcall('HGET', session, 'last_job') == job_id then
      rcall('DEL', session)
    end
    rcall('DEL', key.job(job_id))
    oldest_ended_ts = nil
  end
end

-- End a job for good: it leaves its node or queue, is kept for its retention, and the client that waits for it is notified.
local function finish(job_id, job, status, result_json, problem)
  if is_held(job) then
    release(job_id, job)
  else
    unqueue(job_id, job)
  end
  local ending = { 'HSET', key.job(job_id), 'status', status, 'finished_ts', at_text }
  if job.timer ~= '' then
    ending[7], ending[8] = 'timer', ''
  end
  if job.began_ts then -- the completion says when the job began
    ending[#ending + 1], ending[#ending + 2] = 'started_ts', job.began_ts
  end
  if result_json then
    ending[#ending + 1], ending[#ending + 2] = 'result_json', result_json
  end
  if problem then
    ending[#ending + 1], ending[#ending + 2] = 'error', problem
  end
  plan_command(ending)
  if job.deadline_ts then
    plan_write('ZREM', key.deadlines, job_id)
  end
  discharge_source(job_id)
  expect_ended()
  plan_member('RPUSH', key.ended, at_text .. ' ' .. job_id)
  bump(status)
  if job.reply_to then
    deliver_outcome(plan_delivery, job.reply_to, job_id, status, job.node_id, result_json or '', problem or '')
  end
end
