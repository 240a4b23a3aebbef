-- Where the partition stands at the beginning of a call.

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

-- The watermark of a state that is neither torn nor being rebuilt; nil for any other.
local function whole_watermark()
  local v = rcall('HMGET', key.meta, 'watermark', 'rebuilding', 'begin', 'done')
  if v[1] and not v[2] and v[3] == v[4] then
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
  end
end

-- Read where the partition stands, and refuse to go on where that would do harm. Returns the refusal, or nil.
local function open_call()
  left = tonumber(batch)
  local v = fields_of(rcall('HGETALL', key.meta))
  local refusal = why_not_whole(v)
  if refusal then
    return refusal
  end
  meta = {
    watermark = v.watermark or '0-0', folded = tonumber(v.folded or 0), heartbeats_watermark = v.heartbeats_watermark or '0-0',
    last_call_ts = tonumber(v.last_call_ts or 0), look_ts = v.look_ts or '0', clock_ts = v.clock_ts or '',
    resumed_since_ts = tonumber(v.resumed_since_ts or 0), resumed_ts = tonumber(v.resumed_ts or 0),
    rebuilt_ts = tonumber(v.rebuilt_ts or 0), memory_ts = tonumber(v.memory_ts or 0), done = v.done,
    fold_version = tonumber(v.fold_version or 1), sources = v.sources or '', overload = overload_of(v.overload),
    shed = v.shed and cjson.decode(v.shed) or {},
  }
  local clock = clock_ms()
  local slewed, counted_up_to = slew_clock(clock, v.clock_ts)
  meta.counted_ts = counted_up_to
  now = math.max(clock, slewed, tonumber(match(meta.watermark, '^%d+')))
  skew = now - clock
  now_text = format_int(now)
end
