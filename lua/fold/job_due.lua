-- The time of a job has come: it joins the waiting jobs of its pair.
-- FACT: job_id
local job = read_job(job_id)
plan_member('ZREM', key.timers, job_id)
plan_member('ZADD', key.waiting(job.src_lang, job.tgt_lang), job.order, job_id)
plan_write('HSET', key.job(job_id), 'timer', '')
mark_dirty('pair', job.src_lang .. ':' .. job.tgt_lang)
