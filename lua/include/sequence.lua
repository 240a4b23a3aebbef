-- USES: context bump
-- The number of this submission among all accepted ones: first come, first served within a priority.
local submitted_read
local function sequence()
  submitted_read = submitted_read or tonumber(rcall('HGET', key.counters, 'submitted') or 0)
  return submitted_read + (bumps.submitted or 0)
end
