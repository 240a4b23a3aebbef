-- USES: want touch bump
-- Take a job that no node holds out of its queue, or off the timer it waits for.
local function unqueue(job_id, job)
  if job.timer ~= '' then
    want_member('ZREM', key.timers, job_id)
  else
    want_member('ZREM', key.waiting(job.src_lang, job.tgt_lang), job_id)
    touch('pair', job.src_lang .. ':' .. job.tgt_lang)
  end
  bump('waiting', -1)
end
