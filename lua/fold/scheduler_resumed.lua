-- The scheduler was away since this moment; time limits that ran out meanwhile start again.
-- FACT: since_ts
plan_write('HSET', key.meta, 'resumed_since_ts', since_ts, 'resumed_ts', at_text)
meta.resumed_since_ts, meta.resumed_ts = tonumber(since_ts), at
