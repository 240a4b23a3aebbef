-- A source went beyond one of its limits: how much of its input was dropped, and for which limit.
-- FACT: source cause dropped
local hash = key.source(source)
local v = rcall('HMGET', hash, 'dropped', 'limited')
plan_write('HSET', hash, 'dropped', format('%.0f', tonumber(v[1] or 0) + tonumber(dropped)), 'limited', tonumber(v[2] or 0) + 1,
  'limited_ts', at_text, 'limited_cause', cause)
bump('sources_limited')
if dropped ~= '0' then
  bump('sources_dropped', tonumber(dropped))
end
