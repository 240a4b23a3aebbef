-- USES: context
-- The server's clock, ms since the epoch.
local function clock_ms()
  local time = rcall('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end
