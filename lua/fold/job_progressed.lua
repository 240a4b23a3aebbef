-- The holder is getting on: its time limit starts anew.
-- FIELDS: job_id:id node_id:id attempt:id progress_json?:json
-- USES: context want held_job config whole
local job = held_job(job_id, node_id, attempt)
want('HSET', key.job(job_id), 'progressed_ts', at_text)
if progress_json then
  want('HSET', key.job(job_id), 'progress_json', progress_json)
end
if job.timer == 'run' then
  want('ZADD', key.timers, whole(at + tonumber(config('job_timeout_ms'))), job_id)
end
