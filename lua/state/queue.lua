-- Where a job waits for a node, or for its time.

-- Put a job among the pair's waiting jobs, or on a timer until its time has come. Returns the name of the timer, '' for none.
local function enqueue(job_id, src_lang, tgt_lang, order, until_ts)
  if until_ts and until_ts > at then
    plan_member('ZADD', key.timers, note_due(format_int(until_ts)), job_id)
    return 'due'
  end
  plan_member('ZADD', key.waiting(src_lang, tgt_lang), order, job_id)
  mark_dirty('pair', src_lang .. ':' .. tgt_lang)
  return ''
end

-- Take a job that no node holds out of its queue, or off the timer that it waits for.
local function unqueue(job_id, job)
  if job.timer ~= '' then
    plan_member('ZREM', key.timers, job_id)
  else
    plan_member('ZREM', key.waiting(job.src_lang, job.tgt_lang), job_id)
    mark_dirty('pair', job.src_lang .. ':' .. job.tgt_lang)
  end
  bump('waiting', -1)
end
