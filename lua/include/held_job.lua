-- USES: context fail is_terminal is_held
-- What its node may change of a job, in one read.
local function read_held(job_id)
  local v = rcall('HMGET', key.job(job_id), 'status', 'node_id', 'attempt', 'timer', 'deliver', 'deadline_ts', 'reply_to')
  return v[1] and {
    status = v[1], node_id = v[2] or '', attempt = v[3] or '', timer = v[4] or '', deliver = v[5] ~= 'false', deadline_ts = v[6],
    reply_to = v[7],
  }
end

-- Refuse everybody but the node that holds the job under this attempt, with the reason.
local function check_holder(job_id, job, node_id, attempt)
  if not job then
    fail('UNKNOWN_JOB', 'job_id ' .. job_id .. ': no such job, or its retention is over')
  end
  if is_terminal(job.status) then
    fail('ALREADY_TERMINAL', 'job_id ' .. job_id .. ' is ' .. job.status .. ': an ended job never changes')
  end
  if attempt and attempt ~= job.attempt then
    fail('STALE_ATTEMPT', 'attempt ' .. attempt .. ' of job ' .. job_id .. ' is over: the job has moved on')
  end
  if not is_held(job) then
    fail('STALE_ATTEMPT', 'job_id ' .. job_id .. ' waits for a node: nobody holds it')
  end
  if node_id ~= job.node_id then
    fail('NODE_MISMATCH', 'node_id ' .. node_id .. ' does not hold job ' .. job_id .. ': ' .. job.node_id .. ' does')
  end
  return job
end

local function held_job(job_id, node_id, attempt)
  return check_holder(job_id, read_held(job_id), node_id, attempt)
end
