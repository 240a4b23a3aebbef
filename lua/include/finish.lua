-- USES: context want effect bump is_held release unqueue retire whole
-- End a job for good: off its node or queue, kept for its retention, and told to whoever awaits it.
local function finish(job_id, job, status, result_json, problem)
  if is_held(job) then
    release(job_id, job)
  else
    unqueue(job_id, job)
  end
  local ending = { 'HSET', key.job(job_id), 'status', status, 'finished_ts', at_text }
  if job.timer ~= '' then
    ending[7], ending[8] = 'timer', ''
  end
  if job.began_ts then -- it is the end that tells of it
    ending[#ending + 1], ending[#ending + 2] = 'started_ts', job.began_ts
  end
  if result_json then
    ending[#ending + 1], ending[#ending + 2] = 'result_json', result_json
  end
  if problem then
    ending[#ending + 1], ending[#ending + 2] = 'error', problem
  end
  want_list(ending)
  if job.deadline_ts then
    want('ZREM', key.deadlines, job_id)
  end
  expect_ended()
  want_member('RPUSH', key.ended, at_text .. ' ' .. job_id)
  bump(status)
  if job.reply_to then
    local reply = key.reply(job.reply_to)
    effect('XADD', reply, 'MAXLEN', '~', whole(limit.reply), '*', 'job_id', job_id, 'status', status, 'node_id', job.node_id,
      'result_json', result_json or '', 'error', problem or '')
    keep_for(reply, whole(limit.reply_ms))
  end
end
