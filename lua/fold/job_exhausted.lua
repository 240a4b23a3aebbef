-- No attempt is left, or the job cannot be delivered a second time: it has failed.
-- FACT: job_id cause
local job = read_job(job_id)
if is_held(job) then
  notify(job_id, job, cause)
end
finish(job_id, job, 'failed', nil, cause)
