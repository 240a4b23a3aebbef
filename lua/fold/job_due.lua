-- The time of a job has come: it joins the waiting jobs of its pair.
-- FACT: job_id
-- USES: want touch read_job
local job = read_job(job_id)
want_member('ZREM', key.timers, job_id)
want_member('ZADD', key.waiting(job.src_lang, job.tgt_lang), job.order, job_id)
want('HSET', key.job(job_id), 'timer', '')
touch('pair', job.src_lang .. ':' .. job.tgt_lang)
