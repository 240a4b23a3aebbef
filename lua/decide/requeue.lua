-- Jobs that their node let go of.

-- Let a job wait again, or end it where no attempt is left. An attempt that never began is not counted. A job that failed
-- pauses first, twice as long each time; a job that never began goes elsewhere at once.
local function requeue(job_id, job, cause)
  local began = cause == 'failed' or cause == 'job timeout' or (cause == 'node lost' and job.status == 'running')
  if not job.deliver then
    return decide('job.exhausted', 'job_id', job_id, 'cause', cause .. ': delivered by its caller, so nobody can send it to another node')
  end
  if began and job.attempts >= job.max_attempts then
    return decide('job.exhausted', 'job_id', job_id, 'cause', cause .. ': attempt ' .. job.attempts .. ' of ' .. job.max_attempts)
  end
  local fact = { 'job.requeued', 'job_id', job_id, 'node_id', job.node_id, 'cause', cause }
  local tries = began and job.attempts or job.misses + 1
  if began and cause ~= 'node lost' or not began and cause ~= 'declined: full' and cause ~= 'node lost' and job.misses > 0 then
    -- 2^30 times any pause is more than the longest one; without a bound the power would become infinite
    local pause = math.min(config('retry_backoff_ms') * 2 ^ math.min(tries - 1, 30), limit.backoff_ms)
    fact[#fact + 1], fact[#fact + 2] = 'retry_ts', format_int(now + pause)
  end
  if not began then
    fact[#fact + 1], fact[#fact + 2] = 'refund', 'true'
  end
  if cause == 'accept timeout' then
    fact[#fact + 1], fact[#fact + 2] = 'stalled', 'true'
  end
  decide(unpack(fact))
end

-- Give the jobs of offline nodes to others, a bounded number a call.
local function requeue_lost()
  while left > 0 do
    local node_id = rcall('SRANDMEMBER', key.lost)
    if not node_id then
      return
    end
    local jobs = rcall('SRANDMEMBER', flush(key.node_jobs(node_id)), left)
    for i = 1, #jobs do
      requeue(jobs[i], read_job(jobs[i]), 'node lost')
    end
  end
end
