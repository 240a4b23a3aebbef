-- When something falls due that this call has put on a timer: a worker that would look later is to be woken. Takes and
-- returns ms since the epoch as text.
local soonest_ts = math.huge
local function falls_due(ts_text)
  soonest_ts = math.min(soonest_ts, tonumber(ts_text))
  return ts_text
end
