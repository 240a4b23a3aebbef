-- The holder is getting on: its time limit starts anew.
-- FIELDS: job_id:id node_id:id attempt:id progress_json?:json request_id?:id
-- USES: context want held_job config whole told_before falls_due
if told_before(job_id, request_id) then
  return
end
local job = held_job(job_id, node_id, attempt)
want('HSET', key.job(job_id), 'progressed_ts', at_text)
if progress_json then
  want('HSET', key.job(job_id), 'progress_json', progress_json)
end
local timeout = config('job_timeout_ms')
if job.timer == 'run' and timeout > 0 then
  want_member('ZADD', key.timers, falls_due(whole(at + timeout)), job_id)
end
