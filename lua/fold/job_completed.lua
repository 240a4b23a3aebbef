-- The holder ends the job; `ran_ms` says how long it ran, where it was over before anybody told that it began.
-- A failure with attempts left is not the end: whether and when to try again is decided next.
-- FIELDS: job_id:id node_id:id status:status attempt?:id result_json?:payload error?:text ran_ms?:ms request_id?:id
-- USES: context want bump held_job release finish completed_before told_before may_try_again unread whole
local job = read_held(job_id)
if job and (completed_before(job_id, job, node_id, attempt, status) or told_before(job_id, request_id)) then
  return
end
check_holder(job_id, job, node_id, attempt)
if ran_ms and job.status == 'dispatched' then
  job.began_ts = whole(math.max(at - tonumber(ran_ms), tonumber(match(job.attempt, '^%d+'))))
  if job.deliver then
    begin(node_id)
  end
  job.status = 'running'
end
if status == 'failed' and may_try_again(job_id, job) then
  release(job_id, job)
  bump('waiting')
  if job.began_ts then
    want('HSET', key.job(job_id), 'started_ts', job.began_ts)
  end
  want('HSET', key.job(job_id), 'status', 'created', 'attempt', '', 'timer', 'retry', 'cause', 'failed', 'error', error or '',
    'failed_attempt', job.attempt)
  want_member('ZADD', key.timers, '0', job_id)
else
  finish(job_id, job, status, result_json, error)
end
