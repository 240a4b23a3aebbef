-- USES: context want touch whole falls_due
-- Put a job where it waits: among the pair's waiting jobs, or on a timer until its time has come.
local function enqueue(job_id, src_lang, tgt_lang, order, until_ts)
  if until_ts and until_ts > at then
    want_member('ZADD', key.timers, falls_due(whole(until_ts)), job_id)
    return 'due'
  end
  want_member('ZADD', key.waiting(src_lang, tgt_lang), order, job_id)
  touch('pair', src_lang .. ':' .. tgt_lang)
  return ''
end
