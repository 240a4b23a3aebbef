-- The scheduler was away since this moment; time limits that ran out meanwhile are not held against anybody.
-- FACT: since_ts
-- USES: context want
want('HSET', key.meta, 'resumed_since_ts', since_ts, 'resumed_ts', at_text)
meta.resumed_since_ts, meta.resumed_ts = tonumber(since_ts), at
