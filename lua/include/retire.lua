-- USES: context config written session
-- Drop jobs whose retention is over by the time of this event: at most two an event, so that its cost stays flat,
-- and by event time, so that a replay drops the same ones. A session goes with its last job.
local oldest_ended_ts -- nil: not read yet; huge: there is none
local function expect_ended() -- a job ends now
  if oldest_ended_ts == math.huge then
    oldest_ended_ts = nil
  end
end
local function retire()
  for _ = 1, 2 do
    if not oldest_ended_ts then
      local head = rcall('LINDEX', written(key.ended), '0')
      oldest_ended_ts = head and tonumber(match(head, '^%d+')) or math.huge
    end
    if oldest_ended_ts == math.huge or oldest_ended_ts + config('retention_ms') > at then
      return
    end
    local job_id = match(rcall('LPOP', written(key.ended)), '^%d+ (.*)$')
    local session_id = rcall('HGET', key.job(job_id), 'session_id')
    local session = session_id and session_key(session_id)
    if session and rcall('HGET', session, 'last_job') == job_id then
      rcall('DEL', session)
    end
    rcall('DEL', key.job(job_id))
    oldest_ended_ts = nil
  end
end
