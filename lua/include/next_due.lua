-- USES: context written whole
-- When something falls due next, in ms since the epoch; '' if nothing will.
local function next_due()
  local next_ts = math.huge
  for _, queue in ipairs({ written(key.timers), key.deadlines, key.expiry }) do
    local first = rcall('ZRANGE', queue, '0', '0', 'WITHSCORES')
    next_ts = math.min(next_ts, tonumber(first[2] or math.huge))
  end
  return next_ts < math.huge and whole(next_ts) or ''
end
