-- No attempt is left, or nobody can deliver the job a second time: it has failed.
-- FACT: job_id cause
-- USES: read_job is_held finish notify
local job = read_job(job_id)
if is_held(job) then
  notify(job_id, job, cause)
end
finish(job_id, job, 'failed', nil, cause)
