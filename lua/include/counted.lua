-- USES: context bump
-- A counter as it stands with what this call has counted: how many were submitted, or wait. Both are read at once.
local counters_read
local function counted(name)
  if not counters_read then
    local v = rcall('HMGET', key.counters, 'submitted', 'waiting')
    counters_read = { submitted = tonumber(v[1] or 0), waiting = tonumber(v[2] or 0) }
  end
  return counters_read[name] + (bumps[name] or 0)
end
