-- USES: context bump
-- Write what this call counted; a sum of zero too, so that a counter exists however the log was cut into calls.
local function write_counters()
  for counter, by in pairs(bumps) do
    rcall('HINCRBY', key.counters, counter, by)
  end
end
