-- The position of the partition at the beginning of a call.

-- Whether the state is folded by a newer version of the folds: to go on with older ones would ruin it. Returns the refusal.
local function newer_log(version)
  if (tonumber(version) or 1) > limit.fold_version then
    return 'NEWER_LOG the log is folded by version ' .. version .. ', this program folds up to version '
      .. limit.fold_version .. ': upgrade it'
  end
end

-- How far the state had been folded before it was damaged. Facts up to there are the scheduler's own, and a rebuild
-- believes them; a decision behind it is forged, or of a call that was torn and never took effect. Where the watermark is
-- lost with the rest, the group's cursor says it; where there never was one, nothing had been folded.
local function folded_up_to()
  local watermark = rcall('HGET', key.meta, 'watermark')
  if watermark then
    return watermark
  end
  local groups = rcall('EXISTS', events) == 1 and rcall('XINFO', 'GROUPS', events) or {}
  for i = 1, #groups do
    local group = fields_of(groups[i])
    if group.name == key.group then
      return group['last-delivered-id']
    end
  end
  return '0-0'
end

-- The watermark of a state that is neither torn nor being rebuilt, of a log that was not wiped; nil for any other.
local function whole_watermark()
  local v = rcall('HMGET', key.meta, 'watermark', 'rebuilding', 'begin', 'done', 'wiped')
  if v[1] and not v[2] and v[3] == v[4] and not v[5] then
    return v[1]
  end
end

-- Where the clock was set back, the scheduler's time goes on at half the clock's pace until the clock has caught up, as NTP
-- slews a clock. It does not go back, and it does not stand still, for then nothing would fall due until then.
-- `counted_ts` is the clock up to which time was counted. Returns the time, and the clock up to which it is counted now.
local function slew_clock(clock, counted_ts)
  local passed = math.max(0, clock - (tonumber(counted_ts) or clock))
  return meta.last_call_ts + math.floor(passed / 2), clock - passed % 2
end

-- The refusal of every call where the server has lost the log that began at `lost`, and may hold one that began at `found`.
local function wiped_log(lost, found)
  return 'WIPED the log that began at ' .. lost .. ' is gone' .. (found and ', another began at ' .. found or '')
    .. ': the server was flushed or replaced. Restore it with `streamsched rebuild --from ARCHIVE --replace`;'
    .. ' `streamsched rebuild --forget` gives it up'
end

-- Why nothing may be read from the state or decided on it, which is torn, gone, being rebuilt or of a newer version; nil where it
-- is whole. `v` holds the fields of the partition.
local function why_not_whole(v)
  if newer_log(v.fold_version) then
    return newer_log(v.fold_version)
  elseif v.rebuilding then
    return 'REBUILDING the state is being rebuilt from its log (' .. v.rebuilding .. '): call again in a moment'
  end
  if not v.watermark and not v.last_call_ts and folded_up_to() ~= '0-0' then
    return 'HALTED the log has been folded before, but its state is gone: a worker rebuilds it'
  elseif v.begin ~= v.done then
    return 'HALTED ' .. (v.halted or 'a call was torn at ' .. v.begin) .. ': a worker rebuilds the state from its log'
  elseif v.wiped then
    return wiped_log(v.wiped, v.log)
  end
end

-- Read where the partition stands, and refuse to go on where that would do harm. A call names the log that its process knows
-- (`known_log`, '0-0' for none). Where the server holds a later one, or none, it has lost that log: the partition stops if
-- the log was `archived`, and can be restored; else there is nothing to wait for. An earlier one has been restored.
-- Returns the refusal, or nil.
local function open_call()
  left = tonumber(batch)
  local v = fields_of(rcall('HGETALL', key.meta))
  local refusal = why_not_whole(v)
  if refusal then
    return refusal
  elseif known_log ~= '0-0' and known_log ~= v.forgotten and not (v.log and at_or_before(v.log, known_log)) then
    if archived == '1' then
      rcall('HSET', key.meta, 'wiped', known_log) -- so that the calls of processes that never knew it are refused too
      return wiped_log(known_log, v.log)
    elseif v.lost ~= known_log and v.log and #rcall('XRANGE', events, v.log, v.log) == 0 then
      -- the log was trimmed or restored since: its state was folded after the loss, and could not be folded from it again
      rcall('HSET', key.meta, 'lost', known_log)
    elseif v.lost ~= known_log then
      -- keys of its state may be left, as behind an eviction: a rebuild drops them before the fleet goes on
      rcall('HSET', key.meta, 'lost', known_log, 'begin', known_log, 'done', 'lost')
      return 'HALTED the log that began at ' .. known_log .. ' is gone: a worker drops what is left of its state'
    end
  end
  meta = {
    log = v.log or '0-0', archived = v.archive and 1 or 0, watermark = v.watermark or '0-0', folded = tonumber(v.folded or 0),
    heartbeats_watermark = v.heartbeats_watermark or '0-0',
    last_call_ts = tonumber(v.last_call_ts or 0), look_ts = v.look_ts or '0', clock_ts = v.clock_ts or '',
    resumed_since_ts = tonumber(v.resumed_since_ts or 0), resumed_ts = tonumber(v.resumed_ts or 0),
    rebuilt_ts = tonumber(v.rebuilt_ts or 0), memory_ts = tonumber(v.memory_ts or 0), evicted_keys = v.evicted_keys,
    evicts = v.evicts, done = v.done, fold_version = tonumber(v.fold_version or 1), sources = v.sources or '', troubled = v.troubled,
    overload = overload_of(v.overload),
    shed = v.shed and cjson.decode(v.shed) or {},
  }
  local clock = clock_ms()
  local slewed, counted_up_to = slew_clock(clock, v.clock_ts)
  meta.counted_ts = counted_up_to
  now = math.max(clock, slewed, tonumber(match(meta.watermark, '^%d+')))
  skew = now - clock
  now_text = format_int(now)
  if meta.evicts then -- every call looks before it folds: on a state with holes it would refuse good events
    local about = redis.pcall('INFO', 'memory', 'stats')
    if type(about) == 'string' then
      halt_on_eviction(about)
    end
  end
end
