-- The holder ends the job; `ran_ms` says how long it ran, where it was over before the node said that it began.
-- A failure with attempts left is not the end: whether and when to try again is decided next.
-- FIELDS: job_id:id node_id:id status:status attempt?:id result_json?:payload error?:text ran_ms?:ms room?:room request_id?:id
local job = read_held(job_id)
if job and (completed_before(job_id, job, node_id, attempt, status) or said_before_by_node(job_id, request_id)) then
  return
end
check_holder(job_id, job, node_id, attempt)
job.result_source = sender_in(e) and e.source
if ran_ms and job.status == 'dispatched' then
  job.began_ts = format_int(math.max(at - tonumber(ran_ms), tonumber(match(job.attempt, '^%d+'))))
  if job.deliver then
    start_in_flight(node_id)
  end
  job.status = 'running'
end
if status == 'failed' and has_attempts_left(job_id, job) then
  release(job_id, job)
  bump('waiting')
  if job.began_ts then
    plan_write('HSET', key.job(job_id), 'started_ts', job.began_ts)
  end
  plan_write('HSET', key.job(job_id), 'status', 'created', 'attempt', '', 'timer', 'retry', 'cause', 'failed', 'error', error or '',
    'failed_attempt', job.attempt)
  plan_member('ZADD', key.timers, '0', job_id)
else
  finish(job_id, job, status, result_json, error)
  local began_ts = status == 'finished' and tonumber(job.began_ts or job.started_ts)
  if began_ts then
    learn_speed(node_id, job.src_lang .. ':' .. job.tgt_lang, at - began_ts)
  end
end
if room then
  say_room(node_id, room)
end
