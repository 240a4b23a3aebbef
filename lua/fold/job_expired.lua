-- The job's deadline has passed: it ends, and the node that holds it is notified.
-- FACT: job_id
local job = read_job(job_id)
if is_held(job) then
  notify(job_id, job, 'deadline passed')
end
finish(job_id, job, 'expired', nil, 'deadline_ts ' .. job.deadline_ts .. ' has passed')
