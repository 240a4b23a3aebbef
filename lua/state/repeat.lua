-- Whether an event was folded before: its repeat changes nothing.

-- Whether this very completion was accepted before.
local function completed_before(job_id, job, node_id, attempt, status)
  if attempt and status == 'failed' and rcall('HGET', key.job(job_id), 'failed_attempt') == attempt then
    return true -- the job has moved on to its next attempt, or waits for it
  end
  return job.status == status and job.node_id == node_id and (not attempt or job.attempt == attempt)
end

-- The optional fields of a submission.
local OPTIONS = { 'priority', 'deadline_ts', 'not_before_ts', 'max_attempts', 'affinity', 'reply_to', 'traceparent',
  'immediate', 'deliver' }

-- Whether a job has an earlier deadline than was asked for, because a source submitted it.
local function is_shortened(job_id, deadline_ts, asked_ts)
  return (not asked_ts or tonumber(asked_ts) > tonumber(deadline_ts or 0)) and rcall('HEXISTS', key.job(job_id), 'source') == 1
end

-- Whether this very submission was accepted before. The same id with other content is refused: one of the two jobs would
-- otherwise be lost silently.
local function submitted_before(job_id, e)
  if rcall('EXISTS', key.job(job_id)) == 0 then
    return false -- asked first, because it is nearly always so, and to read 13 fields costs six times as much
  end
  local fields = { 'session_id', 'src_lang', 'tgt_lang', 'payload_json', unpack(OPTIONS) }
  local stored = rcall('HMGET', key.job(job_id), unpack(fields))
  for i, field in ipairs(fields) do
    -- Reply address and trace belong to the call, not to the content: a restarted client asks with others. The deadline that a source
    -- gave may be later than the one that its job has.
    if field ~= 'reply_to' and field ~= 'traceparent' and (stored[i] or nil) ~= e[field]
      and not (field == 'deadline_ts' and is_shortened(job_id, stored[i], e.deadline_ts)) then
      refuse_event('JOB_CONFLICT', 'job_id ' .. job_id .. ' was submitted before with another ' .. field .. ': use a new job_id')
    end
  end
  return true
end

-- The log keeps the submission of a job until the job ends. A repeat that names the entry takes over from it: the job, which an
-- operator lets wait, does not keep the log behind its first submission any more.
local function carry_submission(job_id, carries, id)
  if not carries then
    return
  end
  local v = rcall('HMGET', key.job(job_id), 'submit_id', 'status')
  if v[1] == carries and not is_terminal(v[2]) then
    plan_write('HSET', key.job(job_id), 'submit_id', id)
  end
end

-- Whether its node has said this very thing of a job before. The job remembers the last eight: they go with it.
local function said_before_by_node(job_id, request_id)
  if not request_id then
    return false
  end
  local said = rcall('HGET', key.job(job_id), 'requests') or ''
  if find('\n' .. said .. '\n', '\n' .. request_id .. '\n', 1, true) then
    return true
  end
  plan_write('HSET', key.job(job_id), 'requests', keep_last(said, request_id))
  return false
end

-- Whether this very request was folded before: the same type of event about the same thing from the same source, under the
-- request_id that its sender made up before the first try. The thing is a `subject`, or else the event's node or session.
-- Each new request drops two that are older than an hour of the log's time, so that there are no more than in an hour.
local function requested_before(e, subject)
  if not e.request_id then
    return false
  end
  local request = concat({ e.type, e.source or '', subject or e.node_id or e.session_id or '', e.request_id }, '\n')
  if rcall('ZSCORE', key.requests, request) then
    return true
  end
  local oldest = rcall('ZRANGE', key.requests, '0', '1', 'WITHSCORES')
  for i = 1, #oldest, 2 do
    if tonumber(oldest[i + 1]) + limit.request_ms <= at then
      plan_write('ZREM', key.requests, oldest[i])
    end
  end
  plan_write('ZADD', key.requests, at_text, request)
  return false
end
