-- A job leaves its node, and ends.

-- Take a held job off its node.
local function release(job_id, job)
  hold(job.node_id, job_id, -1)
  if job.timer ~= '' then
    plan_member('ZREM', key.timers, job_id)
  end
  if job.status == 'dispatched' and job.deliver then
    count_in_flight(job.node_id, -1, 0)
  else
    count_in_flight(job.node_id, 0, 1)
  end
  bump('held', -1)
  if not room_of(job.node_id).open then
    mark_node_dirty(job.node_id) -- one job less may open a node that is closed
  end
end

-- Whether a job that has failed on its node has an attempt left.
local function has_attempts_left(job_id, job)
  if not job.deliver then
    return false -- only its caller could send it to another node
  end
  local v = rcall('HMGET', key.job(job_id), 'attempts', 'max_attempts')
  return tonumber(v[1] or 0) < tonumber(v[2] or config('max_attempts'))
end

-- End a job for good: it leaves its node or queue, is kept for its retention, and the client that waits for it is notified.
local function finish(job_id, job, status, result_json, problem)
  if is_held(job) then
    release(job_id, job)
  else
    unqueue(job_id, job)
  end
  local result_bytes, kept = result_json and #result_json or 0, result_json
  local charge = job.result_source and result_json and charge_result(job.result_source, result_bytes)
  if job.result_source and result_json and not charge then
    kept = nil
  end
  local ending = { 'HSET', key.job(job_id), 'status', status, 'finished_ts', at_text }
  if job.timer ~= '' then
    ending[7], ending[8] = 'timer', ''
  end
  if job.began_ts then -- the completion says when the job began
    ending[#ending + 1], ending[#ending + 2] = 'started_ts', job.began_ts
  end
  if kept then
    ending[#ending + 1], ending[#ending + 2] = 'result_json', kept
  end
  if charge then
    ending[#ending + 1], ending[#ending + 2] = 'result_source', charge
  end
  if problem or kept ~= result_json then
    ending[#ending + 1], ending[#ending + 2] = 'error', problem or 'the result of ' .. result_bytes .. ' bytes is not kept: source '
      .. job.result_source .. ' has as many bytes of results as it may'
  end
  plan_command(ending)
  if job.deadline_ts then
    plan_write('ZREM', key.deadlines, job_id)
  end
  discharge_source(job_id, charge and 0 or kept and result_bytes or 0)
  expect_ended()
  plan_member('RPUSH', key.ended, at_text .. ' ' .. job_id)
  bump(status)
  if job.reply_to then
    deliver_outcome(plan_delivery, job.reply_to, job_id, status, job.node_id, result_json or '', problem or '')
  end
end
