-- Too much, for one of three causes: more jobs wait than may (`waiting`), the server's memory is nearly full (`memory`), or
-- the log is far ahead of its fold (`lag`). Only submissions are shed for it. Facts say where it begins and ends; in
-- between `meta.overload[cause]` is the time of its beginning. It ends a tenth below where it began, or it would flap.

-- Whether as many jobs wait as may.
local function waiting_is_full()
  local waiting, bound = counted('waiting'), config('max_waiting')
  return waiting >= bound or meta.overload.waiting and waiting > bound - math.ceil(bound / 10)
end

-- Note how far the log is ahead of its fold, which is too far.
local function note_lag(by)
  local shed = meta.shed
  shed.lag_since, shed.lag_now, shed.lag_most = shed.lag_since or now, by, math.max(shed.lag_most or 0, by)
end

-- Count a submission that is shed, and say when to come back: after as long again as the overload has lasted by now.
local function shed_submission(cause, by)
  local shed = meta.shed
  shed[cause], meta.shed_changed = (shed[cause] or 0) + 1, true
  local since, what = meta.overload[cause], format_int(counted('waiting')) .. ' jobs wait, as many as max_waiting allows'
  if cause == 'memory' then
    what = "the server's memory is nearly full (shed_memory_percent " .. config('shed_memory_percent') .. ')'
  elseif cause == 'lag' then
    since, what = shed.lag_since, format_int(shed.lag_now) .. ' events are not folded yet, more than max_lag'
  end
  local pause = since and math.min(math.max(by - since, limit.least_shed_ms), limit.most_shed_ms) or limit.least_shed_ms
  return what .. ': come back later, retry_after_ms=' .. format_int(pause)
end

-- The overload in one field of the partition's hash: each field that a call reads costs it something.
local function overload_text()
  local words = {}
  for _, cause in ipairs({ 'lag', 'memory', 'waiting' }) do
    if meta.overload[cause] then
      words[#words + 1] = cause .. '=' .. format_int(meta.overload[cause])
    end
  end
  return concat(words, ' ')
end

-- What overload_text has written: the causes, each with the time of its beginning.
local function overload_of(text)
  local since = {}
  for cause, since_ts in gmatch(text or '', '(%a+)=(%d+)') do
    since[cause] = tonumber(since_ts)
  end
  return since
end

-- Halt where the server has evicted keys since the last look, which may have been any of the state: a worker folds it again.
-- The count is written down first, so that keys that are evicted while it is folded are noticed as well.
local function halt_on_eviction(about)
  local policy, evicted = match(about, 'maxmemory_policy:([%w-]+)'), match(about, 'evicted_keys:(%d+)')
  local evicts = find(policy or '', '^allkeys')
  if evicts and not meta.evicts then
    rcall('HSET', key.meta, 'evicts', '1') -- from here on every call looks
  elseif meta.evicts and not evicts then
    rcall('HDEL', key.meta, 'evicts')
  end
  local before = meta.evicted_keys
  if evicted and evicted ~= before then
    rcall('HSET', key.meta, 'evicted_keys', evicted)
    if before and evicts and tonumber(evicted) > tonumber(before) then
      error({ evicted = true, halt = 'the server evicted ' .. format_int(evicted - before) .. ' keys by its maxmemory-policy '
        .. policy .. ': set noeviction, or give it more memory' }, 0)
    end
  end
end

-- How much of the server's memory is used, in percent; nil where it was looked at a moment ago, or may not be asked.
-- Memory is shed before it is gone, because facts and completions need some. To ask costs as much as a small call, and takes
-- a permission that not every user has: a user without it leaves it to the others.
local function memory_used()
  local clock = now - skew
  if clock >= meta.memory_ts and clock - meta.memory_ts < limit.memory_ms then
    return nil
  end
  local about = redis.pcall('INFO', 'memory', 'stats')
  if type(about) ~= 'string' then
    return nil
  end
  rcall('HSET', key.meta, 'memory_ts', format_int(clock))
  halt_on_eviction(about)
  local used, all = match(about, 'used_memory:(%d+)'), tonumber(match(about, '\nmaxmemory:(%d+)') or 0)
  return all > 0 and math.floor(100 * tonumber(used) / all) or 0
end

-- Record where an overload begins, and where it is over, with how many submissions were shed meanwhile.
local function watch_load(cause)
  local shed = meta.shed
  local least, most, bound
  if cause == 'waiting' then
    most, bound = counted('waiting'), config('max_waiting')
  elseif cause == 'lag' then -- at the tail nothing is ahead any more: what happened on the way here is recorded now
    most, least, bound = shed.lag_most, 0, config('max_lag')
  else
    most = memory_used()
    if not most then
      return
    end
    bound = config('shed_memory_percent')
  end
  if not meta.overload[cause] and (most >= bound or shed[cause]) then
    decide('scheduler.overloaded', 'cause', cause, 'measured', format_int(most), 'bound', format_int(bound))
  end
  local since = meta.overload[cause]
  if since and (least or most) <= bound - math.ceil(bound / 10) then
    since = cause == 'lag' and shed.lag_since or since
    decide('scheduler.relieved', 'cause', cause, 'since_ts', format_int(since), 'shed', format_int(shed[cause] or 0))
    shed[cause], meta.shed_changed = nil, true
    if cause == 'lag' then
      shed.lag_since, shed.lag_now, shed.lag_most = nil, nil, nil
    end
  end
end
