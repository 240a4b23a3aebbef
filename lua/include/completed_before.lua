-- USES: context
-- Whether this very completion was accepted before; a retry of it changes nothing.
local function completed_before(job_id, node_id, attempt, status)
  local v = rcall('HMGET', key.job(job_id), 'status', 'node_id', 'attempt', 'failed_attempt')
  if attempt and status == 'failed' and v[4] == attempt then
    return true -- the job has moved on to its next attempt, or waits for it
  end
  return v[1] == status and v[2] == node_id and (not attempt or v[3] == attempt)
end
