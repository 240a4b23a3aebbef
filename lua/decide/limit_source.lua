-- USES: context decide
-- Note that a source went beyond a limit, and how many of its entries were dropped for it.
local function limit_source(sender, cause, dropped)
  local before = tonumber(match(sender.over, cause .. '=(%d+)') or -1)
  local rest = before < 0 and sender.over or gsub(sender.over, cause .. '=%d+ ', '')
  sender.over = rest .. cause .. '=' .. format('%.0f', math.max(before, 0) + dropped) .. ' '
end

-- Record what was noted: every few seconds, so that a flood is not answered by a flood of facts; and all that was dropped
-- when nothing waits any more, for nobody may come by again.
local function record_limits(name, sender, emptied)
  local due, kept = now >= sender.told_ts + limit.limited_ms, ''
  for cause, dropped in gmatch(sender.over, '(%a+)=(%d+) ') do
    if due or emptied and dropped ~= '0' then
      decide('source.limited', 'source', name, 'cause', cause, 'dropped', dropped)
      sender.told_ts = now
    else
      kept = kept .. cause .. '=' .. dropped .. ' '
    end
  end
  sender.over = kept
end
