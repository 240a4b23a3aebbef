-- Whether this very completion was accepted before; a retry of it changes nothing.
local function completed_before(job, node_id, attempt, status)
  if attempt and status == 'failed' and job.failed_attempt == attempt then
    return true -- the job has moved on to its next attempt, or waits for it
  end
  return job.status == status and job.node_id == node_id and (not attempt or job.attempt == attempt)
end
