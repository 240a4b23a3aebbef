-- USES: context config counted whole
-- Too much, for one of three causes: more jobs wait than may (`waiting`), the server's memory is nearly full (`memory`), or
-- the log is far ahead of its fold (`lag`). Only submissions are turned away for it. Facts say where it begins and ends; in
-- between `meta.overload[cause]` is the time of its beginning. It ends a tenth below where it began, or it would flap.
local function too_many_wait()
  local waiting, bound = counted('waiting'), config('max_waiting')
  return waiting >= bound or meta.overload.waiting and waiting > bound - math.ceil(bound / 10)
end

-- Note how far the log is ahead of its fold, which is too far.
local function far_ahead(by)
  local shed = meta.shed
  shed.lag_since, shed.lag_now, shed.lag_most = shed.lag_since or now, by, math.max(shed.lag_most or 0, by)
end

-- Count a submission that is turned away, and say when to come back: after as long again as it has lasted by now.
local function turn_away(cause, by)
  local shed = meta.shed
  shed[cause], meta.shed_changed = (shed[cause] or 0) + 1, true
  local since, what = meta.overload[cause], whole(counted('waiting')) .. ' jobs wait, as many as max_waiting allows'
  if cause == 'memory' then
    what = "the server's memory is nearly full (shed_memory_percent " .. config('shed_memory_percent') .. ')'
  elseif cause == 'lag' then
    since, what = shed.lag_since, whole(shed.lag_now) .. ' events are not folded yet, more than max_lag'
  end
  local pause = since and math.min(math.max(by - since, limit.least_shed_ms), limit.most_shed_ms) or limit.least_shed_ms
  return what .. ': come back later, retry_after_ms=' .. whole(pause)
end
