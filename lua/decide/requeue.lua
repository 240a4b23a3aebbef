-- Jobs that their node let go of.

-- Let a job wait again, or end it where it must not be tried again. An attempt that cannot have begun is not counted, but how
-- often that happens is bounded, too. A job that failed pauses first, twice as long each time; a job that was handed back goes
-- elsewhere at once, and pauses from the second time on.
local function requeue(job_id, job, cause)
  local failed, full = cause == 'failed' or cause == 'job timeout', cause == 'declined: full'
  local began = failed or cause == 'node lost' and job.status == 'running' or job.begun and true
  local exhausted
  if not job.deliver then
    exhausted = 'delivered by its caller, so no other node can receive it'
  elseif began and job.attempts >= job.max_attempts then
    exhausted = 'attempt ' .. job.attempts .. ' of ' .. job.max_attempts
  elseif not began and not full and job.misses + 1 >= limit.misses then
    exhausted = 'handed back ' .. limit.misses .. ' times without being begun'
  end
  if exhausted then
    local nodes = began and keep_last(job.begun_on, job.node_id) or job.begun_on
    local fact = { 'job.exhausted', 'job_id', job_id, 'cause', cause .. ': ' .. exhausted }
    if nodes ~= '' then
      fact[#fact + 1], fact[#fact + 2] = 'nodes', nodes
    end
    return decide(unpack(fact))
  end
  local fact = { 'job.requeued', 'job_id', job_id, 'node_id', job.node_id, 'cause', cause }
  local tries = began and job.attempts or job.misses + 1
  if failed or tries > 1 and not full and cause ~= 'node lost' then
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
