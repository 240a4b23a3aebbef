-- USES: context decide config whole
-- Let a job wait again after its node let go of it, or end it where no attempt is left. An attempt that never began
-- is not counted. What failed pauses first, twice as long each time; what never began goes elsewhere at once.
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
    local pause = math.min(config('retry_backoff_ms') * 2 ^ (tries - 1), limit.backoff_ms)
    fact[#fact + 1], fact[#fact + 2] = 'retry_ts', whole(now + pause)
  end
  if not began then
    fact[#fact + 1], fact[#fact + 2] = 'refund', 'true'
  end
  if cause == 'accept timeout' then
    fact[#fact + 1], fact[#fact + 2] = 'stalled', 'true'
  end
  decide(unpack(fact))
end
