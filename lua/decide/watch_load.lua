-- USES: context config counted decide whole
-- Record where too much of something begins, and where it is over, with how many submissions were turned away meanwhile.
local function watch_load(cause)
  local shed, least, most, bound = meta.shed, nil, nil, nil
  if cause == 'waiting' then
    most, bound = counted('waiting'), config('max_waiting')
  elseif cause == 'lag' then -- at the tail nothing is ahead any more: what happened on the way here is told now
    most, least, bound = shed.lag_most, 0, config('max_lag')
  else
    -- Memory is shed before it is gone, because facts and completions need some. To ask costs as much as a small call,
    -- and takes a permission that not everybody has: who has it not leaves it to the others.
    local clock = now - skew
    if clock >= meta.memory_ts and clock - meta.memory_ts < limit.memory_ms then
      return
    end
    local about = redis.pcall('INFO', 'memory')
    if type(about) ~= 'string' then
      return
    end
    rcall('HSET', key.meta, 'memory_ts', whole(clock))
    local used, all = match(about, 'used_memory:(%d+)'), tonumber(match(about, '\nmaxmemory:(%d+)') or 0)
    most, bound = all > 0 and math.floor(100 * tonumber(used) / all) or 0, config('shed_memory_percent')
  end
  if not meta.overload[cause] and (most >= bound or shed[cause]) then
    decide('scheduler.overloaded', 'cause', cause, 'measured', whole(most), 'bound', whole(bound))
  end
  local since = meta.overload[cause]
  if since and (least or most) <= bound - math.ceil(bound / 10) then
    since = cause == 'lag' and shed.lag_since or since
    decide('scheduler.relieved', 'cause', cause, 'since_ts', whole(since), 'shed', whole(shed[cause] or 0))
    shed[cause], meta.shed_changed = nil, true
    if cause == 'lag' then
      shed.lag_since, shed.lag_now, shed.lag_most = nil, nil, nil
    end
  end
end
