-- The scheduler was away when this job's time limit ran out: nobody could have kept it, so it starts anew.
-- FACT: job_id until_ts
-- USES: want
want_member('ZADD', key.timers, until_ts, job_id)
