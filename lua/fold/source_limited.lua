-- A source went beyond one of its limits: what was dropped of what it sent, and for which of them.
-- FACT: source cause dropped
-- USES: context want bump
local hash = key.source(source)
local v = rcall('HMGET', hash, 'dropped', 'limited')
want('HSET', hash, 'dropped', format('%.0f', tonumber(v[1] or 0) + tonumber(dropped)), 'limited', tonumber(v[2] or 0) + 1,
  'limited_ts', at_text, 'limited_cause', cause)
bump('sources_limited')
if dropped ~= '0' then
  bump('sources_dropped', tonumber(dropped))
end
