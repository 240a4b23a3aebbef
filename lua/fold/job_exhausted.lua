-- No attempt is left, the job was handed back too often, or it cannot be delivered a second time: it has failed. `nodes` are those
-- on which an attempt began.
-- FACT: job_id cause nodes
local job = read_job(job_id)
if is_held(job) then
  notify(job_id, job, cause)
end
if nodes then
  plan_write('HSET', key.job(job_id), 'begun_on', nodes)
end
finish(job_id, job, 'failed', nil, cause)
