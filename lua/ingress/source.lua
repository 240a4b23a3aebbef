-- Sources: senders that may not append to the log, and speak through an ingress stream of their own.

-- The state of a source, read once a call and kept up to date by every function that changes it; false for one that was never
-- admitted, and whose name therefore means nothing.
local senders = {}
local function sender_of(name)
  local sender = senders[name]
  if sender == nil then
    local v = rcall('HMGET', key.source(name), 'role', 'node_id', 'revoked', 'rate', 'size', 'backlog', 'priority', 'last_id',
      'tokens', 'tokens_ts', 'over', 'told_ts', 'foreign', 'jobs', 'bytes', 'living', 'living_bytes', 'max_age_ms', 'pools', 'own_pairs', 'kept_bytes',
      'result_bytes')
    sender = v[1] and {
      role = v[1], node_id = v[2], revoked = v[3] == 'true', rate = tonumber(v[4]), size = tonumber(v[5]),
      backlog = tonumber(v[6]), priority = tonumber(v[7]), last_id = v[8], tokens = v[9], tokens_ts = v[10], over = v[11] or '',
      told_ts = tonumber(v[12] or 0), foreign = v[13] == 'true',
      jobs = tonumber(v[14]), bytes = tonumber(v[15]), living = tonumber(v[16] or 0), living_bytes = tonumber(v[17] or 0),
      max_age_ms = tonumber(v[18]), pools = v[19], own_pairs = tonumber(v[20] or 0),
      kept_bytes = tonumber(v[21] or 0), result_bytes = tonumber(v[22] or 0),
    }
    senders[name] = sender
  end
  return sender
end

-- A source was admitted or revoked: the next event of it reads it again.
local function forget_sender(name)
  senders[name] = nil
end

-- The source of an event that came through an ingress; nil for an event that was appended to the log, false for one of a
-- source that is not there.
local function sender_in(e)
  local id = e.source_id
  if e.source and id and #id <= 41 and find(id, '^%d+%-%d+$') and not find(id, '^0%d') and not find(id, '%-0%d') then
    return sender_of(e.source)
  end
end

-- Refuse an event that its source was not admitted for. A node may report only its own events, a producer only those of its own
-- jobs and sessions, whose ids begin with its name.
local function check_sender(e, stream)
  local sender = sender_in(e)
  if not sender then
    if sender == false and e.retry_of then -- what it may say is not known any more, and it was refused for something
      refuse_event('UNKNOWN_SOURCE', 'source ' .. e.source .. ' is not admitted: append what is right of its event as your own')
    end
    return
  end
  local role, kind = sender.role, tostring(e.type)
  local function may_not(what)
    refuse_event('NOT_PERMITTED', 'type ' .. format('%q', kind) .. ': source ' .. e.source .. ' (' .. role .. ') may not ' .. what)
  end
  local may = role == 'node' and 'node.registered node.heartbeat node.offline job.started job.progressed job.declined job.completed'
    or 'job.submitted job.cancelled session.released'
  if sender.revoked then
    may_not('say anything: it was revoked; admit it again with source.admitted')
  elseif not find(' ' .. may .. ' ', ' ' .. kind .. ' ', 1, true) then
    may_not('say this: append it from a process that needs no ingress')
  elseif stream == 'events' and not e.retry_of and at_or_before(e.source_id, sender.last_id) then
    may_not('be heard twice: source_id ' .. e.source_id .. ' is not behind ' .. sender.last_id)
  end
  if role == 'node' then
    if e.node_id ~= sender.node_id then
      may_not('report for node ' .. format('%q', e.node_id or '') .. ', only for ' .. format('%q', sender.node_id)
        .. ': give each node a source of its own')
    elseif e.progress_json and #e.progress_json > limit.source_progress then
      may_not('keep more than ' .. limit.source_progress .. ' bytes of progress_json with a job: report less')
    elseif e.mailbox and e.mailbox ~= sender.node_id then
      may_not('have its jobs put into another inbox: leave mailbox out')
    end
    return
  end
  local scope = e.source .. '/'
  for _, field in ipairs({ 'job_id', 'session_id', 'reply_to' }) do
    if e[field] and e[field]:sub(1, #scope) ~= scope then
      may_not('give a ' .. field .. ' that does not begin with ' .. scope .. ': jobs and sessions of others are not its own')
    end
  end
  local priority = e.priority or '0'
  if e.deliver == 'false' then
    may_not('deliver jobs by itself: leave deliver out')
  elseif find(priority, '^%-?%d+$') and tonumber(priority) > sender.priority then
    may_not('ask for a priority above ' .. format('%.0f', sender.priority) .. ': lower it, or admit the source with a higher one')
  end
end

-- Count a job of a source that begins (jobs = 1) or ends (jobs = -1), with the bytes of its payload.
local function count_living(name, sender, job_id, jobs, bytes)
  sender.living, sender.living_bytes = sender.living + jobs, sender.living_bytes + bytes
  plan_write('HINCRBY', key.source(name), 'living', jobs)
  plan_write('HINCRBY', key.source(name), 'living_bytes', bytes)
  plan_write(jobs == 1 and 'SADD' or 'SREM', key.source_jobs(name), job_id)
  if sender.living == 0 and sender.revoked then
    plan_write('ZREM', key.gone, 'jobs ' .. name)
  end
end

-- Note that an event of a source was folded or refused: the source is taken in up to there, so that a call which was torn
-- between copying and trimming copies nothing twice. A producer whose submission was refused gets a reply: through an
-- ingress it gets no other answer.
local function note_source_position(e, problem)
  local sender = sender_in(e)
  if not sender then
    return
  end
  if not e.retry_of and not at_or_before(e.source_id, sender.last_id) then
    sender.last_id = e.source_id
    buffer('HSET', key.source(e.source), 'last_id', e.source_id)
  end
  if problem and writes_letters and e.type == 'job.submitted' and e.job_id and e.reply_to and #e.reply_to <= limit.id
    and e.reply_to:sub(1, #e.source + 1) == e.source .. '/' then
    deliver_outcome(deliver_now, e.reply_to, e.job_id, 'refused', '', '', problem.code .. ' ' .. problem.detail)
  end
end
