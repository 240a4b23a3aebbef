-- Jobs whose time has come.

-- Do what is due for each job whose timer has run out.
local function fire_timers()
  local due = rcall('ZRANGE', flush(key.timers), '0', '1', 'WITHSCORES') -- often nothing is due, or just the caller's own job
  if due[4] and tonumber(due[4]) <= now then
    due = rcall('ZRANGEBYSCORE', key.timers, '-inf', now_text, 'WITHSCORES', 'LIMIT', '0', left)
  end
  for i = 1, #due, 2 do
    local job_id, due_ts = due[i], tonumber(due[i + 1])
    if due_ts > now then
      return
    end
    local job = job_to_dispatch(job_id)
    if job.timer == 'decide' then
      if is_paused(job.src_lang .. ':' .. job.tgt_lang) or not dispatch(job_id, job) then
        refuse(job_id, job)
      end
    elseif job.timer == 'retry' then
      job = read_job(job_id)
      requeue(job_id, job, job.cause)
    elseif job.timer == 'due' then
      decide('job.due', 'job_id', job_id)
    else
      local accept = job.timer == 'accept'
      if due_ts > meta.resumed_since_ts and due_ts <= meta.resumed_ts then
        local timeout = config(accept and 'accept_timeout_ms' or 'job_timeout_ms')
        decide('job.extended', 'job_id', job_id, 'until_ts', format_int(now + timeout))
      else
        requeue(job_id, read_job(job_id), accept and 'accept timeout' or 'job timeout')
      end
    end
  end
end

-- End the jobs whose deadline has passed.
local function expire_jobs()
  local due = rcall('ZRANGEBYSCORE', key.deadlines, '-inf', now_text, 'LIMIT', '0', left)
  for i = 1, #due do
    decide('job.expired', 'job_id', due[i])
  end
end
