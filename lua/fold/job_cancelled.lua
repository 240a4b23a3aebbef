-- A client cancels the job: it ends at once, and the node that holds it is notified.
-- FIELDS: job_id:id reason?:text
local job = read_job(job_id)
if not job then
  refuse_event('UNKNOWN_JOB', 'job_id ' .. job_id .. ': no such job, or its retention is over')
end
if job.status == 'cancelled' then
  return
end
if is_terminal(job.status) then
  refuse_event('ALREADY_TERMINAL', 'job_id ' .. job_id .. ' is ' .. job.status .. ': an ended job never changes')
end
if is_held(job) then
  notify(job_id, job, 'cancelled')
end
finish(job_id, job, 'cancelled', nil, reason)
