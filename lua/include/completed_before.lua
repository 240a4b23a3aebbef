-- USES: context
-- Whether this very completion was accepted before; a retry of it changes nothing.
local function completed_before(job_id, job, node_id, attempt, status)
  if attempt and status == 'failed' and rcall('HGET', key.job(job_id), 'failed_attempt') == attempt then
    return true -- the job has moved on to its next attempt, or waits for it
  end
  return job.status == status and job.node_id == node_id and (not attempt or job.attempt == attempt)
end
