-- The partition's counters. The counts of one call are written together at its end.

local bumps = {} -- what this call has counted so far
local function bump_now(counter, by)
  bumps[counter] = (bumps[counter] or 0) + by
end

-- A counter with what this call has counted: how many jobs were submitted, or wait. Both are read at once.
local counters_read
local function counted(name)
  if not counters_read then
    local v = rcall('HMGET', key.counters, 'submitted', 'waiting')
    counters_read = { submitted = tonumber(v[1] or 0), waiting = tonumber(v[2] or 0) }
  end
  return counters_read[name] + (bumps[name] or 0)
end

-- Write what this call counted; a sum of zero too, so that a counter exists however the log was cut into calls.
local function write_counters()
  for counter, by in pairs(bumps) do
    if rcall('HINCRBY', key.counters, counter, by) < 0 then
      halt('counter ' .. counter .. ' fell below zero: keys of the state are gone')
    end
  end
end
