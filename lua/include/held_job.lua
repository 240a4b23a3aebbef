-- USES: fail read_job is_terminal is_held
-- The job, if this node holds it under this attempt; everybody else is refused, with the reason.
local function held_job(job_id, node_id, attempt)
  local job = read_job(job_id)
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
