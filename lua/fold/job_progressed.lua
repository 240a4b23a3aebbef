-- The holder reports progress: the job's time limit starts again.
-- FIELDS: job_id:id node_id:id attempt:id progress_json?:json request_id?:id
if said_before_by_node(job_id, request_id) then
  return
end
local job = held_job(job_id, node_id, attempt)
plan_write('HSET', key.job(job_id), 'progressed_ts', at_text)
if progress_json then
  plan_write('HSET', key.job(job_id), 'progress_json', progress_json)
end
local timeout = config('job_timeout_ms')
if job.timer == 'run' and timeout > 0 then
  plan_member('ZADD', key.timers, note_due(format_int(at + timeout)), job_id)
end
