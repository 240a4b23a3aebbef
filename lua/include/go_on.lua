-- USES: context
-- Where the clock was set back the scheduler's time goes on from where it was, at half the clock's pace, until the clock
-- has caught up: not back, and not still either, for then nothing would fall due until then. `told` is the clock as it was
-- when time was last counted. Returns the time, and the clock up to which it is counted.
local function go_on(clock, told)
  local passed = math.max(0, clock - (tonumber(told) or clock))
  return meta.last_call_ts + math.floor(passed / 2), clock - passed % 2
end
