-- The scheduler was away when this job's time limit ran out: nobody could have kept it, so it starts anew.
-- FACT: job_id until_ts
-- USES: want falls_due
want_member('ZADD', key.timers, falls_due(until_ts), job_id)
