-- A job that had to be dispatched at once could not be: it ends here, and the log says why.
-- FACT: job_id code detail
finish(job_id, read_job(job_id), 'refused', nil, code .. ' ' .. detail)
