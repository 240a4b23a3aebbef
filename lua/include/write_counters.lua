-- USES: context bump
-- Write what this call counted.
local function write_counters()
  for counter, by in pairs(bumps) do
    if by ~= 0 then
      rcall('HINCRBY', key.counters, counter, by)
    end
  end
end
