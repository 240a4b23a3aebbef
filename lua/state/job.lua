-- A job: its name, its fields, and who may change it.

-- The name of a job: the submitter's, or one made of its session and of what tells the submission from others.
local function job_id_of(e, id)
  return e.job_id or (e.session_id or '') .. ':' .. (e.request_id or id)
end

-- Whether a node holds the job now.
local function is_held(job)
  return job.status == 'dispatched' or job.status == 'running'
end

-- Whether the job has ended; an ended job never changes again.
local function is_terminal(status)
  return status == 'finished' or status == 'failed' or status == 'cancelled' or status == 'expired' or status == 'refused'
end

-- The fields of a job that folds and decisions need, in one read; nil where there is no such job.
local function read_job(job_id)
  local v = rcall('HMGET', key.job(job_id), 'status', 'session_id', 'src_lang', 'tgt_lang', 'order', 'attempts', 'attempt',
    'node_id', 'max_attempts', 'deliver', 'timer', 'deadline_ts', 'reply_to', 'excluded', 'cause', 'misses', 'affinity', 'pool_id',
    'begun', 'begun_on')
  if not v[1] then
    return nil
  end
  return {
    status = v[1], session_id = v[2], src_lang = v[3], tgt_lang = v[4], order = v[5], attempts = tonumber(v[6] or 0),
    attempt = v[7] or '', node_id = v[8] or '', max_attempts = tonumber(v[9] or config('max_attempts')),
    deliver = v[10] ~= 'false', timer = v[11] or '', deadline_ts = v[12], reply_to = v[13], excluded = v[14] or '',
    cause = v[15] or '', misses = tonumber(v[16] or 0), affinity = v[17] or 'prefer', pool_id = v[18] or '',
    begun = v[19], begun_on = v[20] or '',
  }
end

-- The fields of a job that its node may change, in one read that is cheaper than read_job.
local function read_held(job_id)
  local v = rcall('HMGET', key.job(job_id), 'status', 'node_id', 'attempt', 'timer', 'deliver', 'deadline_ts', 'reply_to',
    'started_ts', 'src_lang', 'tgt_lang')
  return v[1] and {
    status = v[1], node_id = v[2] or '', attempt = v[3] or '', timer = v[4] or '', deliver = v[5] ~= 'false', deadline_ts = v[6],
    reply_to = v[7], started_ts = v[8], src_lang = v[9], tgt_lang = v[10],
  }
end

-- Refuse everyone but the node that holds the job under this attempt, with the reason.
local function check_holder(job_id, job, node_id, attempt)
  if not job then
    refuse_event('UNKNOWN_JOB', 'job_id ' .. job_id .. ': no such job, or its retention is over')
  end
  if is_terminal(job.status) then
    refuse_event('ALREADY_TERMINAL', 'job_id ' .. job_id .. ' is ' .. job.status .. ': an ended job never changes')
  end
  if attempt and attempt ~= job.attempt then
    refuse_event('STALE_ATTEMPT', 'attempt ' .. attempt .. ' of job ' .. job_id .. ' is over: the job has moved on')
  end
  if not is_held(job) then
    refuse_event('STALE_ATTEMPT', 'job_id ' .. job_id .. ' waits for a node: no node holds it')
  end
  if node_id ~= job.node_id then
    refuse_event('NODE_MISMATCH', 'node_id ' .. node_id .. ' does not hold job ' .. job_id .. ': ' .. job.node_id
      .. ' does')
  end
  return job
end

local function held_job(job_id, node_id, attempt)
  return check_holder(job_id, read_held(job_id), node_id, attempt)
end

-- The fields that it takes to choose a node for a waiting job and to send it there. The decision's read is remembered until
-- something is committed, so that the fold of its fact does not read the same again.
local known_id, known_job
local function job_to_dispatch(job_id)
  if known_id ~= job_id then
    local v = rcall('HMGET', key.job(job_id), 'src_lang', 'tgt_lang', 'session_id', 'attempts', 'deliver', 'timer', 'deadline_ts',
      'excluded', 'affinity', 'payload_json', 'traceparent')
    known_id, known_job = job_id, {
      src_lang = v[1], tgt_lang = v[2], session_id = v[3], attempts = tonumber(v[4] or 0), deliver = v[5] ~= 'false',
      timer = v[6] or '', deadline_ts = v[7], excluded = v[8] or '', affinity = v[9] or 'prefer', payload_json = v[10],
      traceparent = v[11],
    }
  end
  return known_job
end

-- Remember a submission while it is folded: once it is committed, job_to_dispatch knows the job without a read.
local new_id, new_job
local function remember_submission(job_id, job)
  new_id, new_job = job_id, job
end
local function know_submission()
  known_id, known_job, new_id = new_id, new_job, nil
end

-- Add a name to a list in which each stands once; the last eight are kept, so that whatever reads it stays cheap.
local function keep_last(names, name)
  local kept = {}
  for other in gmatch(names, '[^\n]+') do
    if other ~= name then
      kept[#kept + 1] = other
    end
  end
  kept[#kept + 1] = name
  return concat(kept, '\n', #kept > 8 and #kept - 7 or 1)
end
