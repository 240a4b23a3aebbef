-- The scheduler was away when this job's time limit ran out, so that the node could not have kept it: the limit starts again.
-- FACT: job_id until_ts
plan_member('ZADD', key.timers, note_due(until_ts), job_id)
