-- USES: context want effect bump is_held release unqueue
-- End a job for good: off its node or queue, kept for its retention, and told to whoever awaits it.
local function finish(job_id, job, status, result_json, problem)
  if is_held(job) then
    release(job_id, job)
  else
    unqueue(job_id, job)
  end
  local hash = key.job(job_id)
  want('HSET', hash, 'status', status, 'finished_ts', at_text, 'timer', '')
  if result_json then
    want('HSET', hash, 'result_json', result_json)
  end
  if problem then
    want('HSET', hash, 'error', problem)
  end
  if job.deadline_ts then
    want('ZREM', key.deadlines, job_id)
  end
  want('RPUSH', key.ended, at_text .. ' ' .. job_id)
  bump(status)
  if job.reply_to then
    local reply = key.reply(job.reply_to)
    effect('XADD', reply, 'MAXLEN', '~', limit.reply, '*', 'job_id', job_id, 'status', status, 'node_id', job.node_id,
      'result_json', result_json or '', 'error', problem or '')
    effect('PEXPIRE', reply, limit.reply_ms)
  end
end
