-- Ended jobs, which are kept for a while: for their retention, and of a source no more than its quota.

-- The source that a job or a result is charged to, and its bytes, as the job notes them.
local function charged_to(charge)
  local name, bytes = match(charge, '^(.*) (%d+)$')
  return name, tonumber(bytes)
end

-- Forget the job of an entry `<time of its end> <id>`; its session goes with its last job. One that is gone has left its quota before;
-- its id may be another job's now. Returns the source that it is charged to.
local function purge_entry(ended_ts, job_id)
  local v = rcall('HMGET', key.job(job_id), 'finished_ts', 'session_id', 'source', 'result_source')
  if v[1] ~= ended_ts then
    return nil
  end
  local session = v[2] and session_key(v[2])
  if session and rcall('HGET', session, 'last_job') == job_id then
    plan_write('DEL', session)
  end
  plan_write('DEL', key.job(job_id))
  if v[4] then
    local name, bytes = charged_to(v[4])
    local sender = sender_of(name)
    if sender and sender.result_bytes >= bytes then -- else the source was retired meanwhile, and is another one now
      sender.result_bytes = sender.result_bytes - bytes
      plan_write('HINCRBY', key.source(name), 'result_bytes', format_int(-bytes))
    end
  end
  return v[3] and charged_to(v[3])
end

-- Drop jobs whose retention is over by the time of this event: at most two an event, so that its cost stays flat,
-- and by event time, so that a replay drops the same ones.
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
    planning = false -- no event can refuse this
    local ended_ts, job_id = match(rcall('LPOP', flush(key.ended)), '^(%d+) (.*)$')
    local name = purge_entry(ended_ts, job_id)
    local head = name and rcall('LINDEX', key.kept(name), '0')
    local bytes = head and match(head, '^' .. ended_ts .. ' (%d+) ')
    if bytes and head:sub(-#job_id - 1) == ' ' .. job_id then
      rcall('LPOP', key.kept(name))
      local sender = sender_of(name)
      sender.kept_bytes = sender.kept_bytes - tonumber(bytes)
      rcall('HINCRBY', key.source(name), 'kept_bytes', '-' .. bytes)
    end
    oldest_ended_ts = nil
  end
end

-- Keep an ended job of a source within its quota: beyond it the oldest ones go before their retention is over.
local function keep_ended(name, sender, job_id, bytes)
  local list, dropped, freed = key.kept(name), 0, 0
  local function is_full()
    return sender.kept_bytes + bytes - freed > sender.bytes and dropped < limit.kept_drops
  end
  while is_full() do
    local slice = rcall('LRANGE', list, format_int(dropped), format_int(dropped + limit.read - 1))
    for i = 1, #slice do
      if is_full() then
        local ended_ts, kept_bytes, kept_id = match(slice[i], '^(%d+) (%d+) (.*)$')
        purge_entry(ended_ts, kept_id)
        dropped, freed = dropped + 1, freed + tonumber(kept_bytes)
      end
    end
    if #slice < limit.read then
      break
    end
  end
  for _ = 1, dropped do
    plan_write('LPOP', list)
  end
  plan_write('RPUSH', list, at_text .. ' ' .. format_int(bytes) .. ' ' .. job_id)
  sender.kept_bytes = sender.kept_bytes + bytes - freed
  plan_write('HINCRBY', key.source(name), 'kept_bytes', format_int(bytes - freed))
end
