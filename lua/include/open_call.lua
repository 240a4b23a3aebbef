-- USES: context clock_ms folded_up_to newer_log go_on overload_of
-- Read where the partition stands, and refuse to go on where that would do harm. Returns the refusal, or nil.
local function open_call()
  -- a foreign key in the place of a stream is met here, before anything is written, and not half way through
  rcall('XLEN', heartbeats)
  rcall('XLEN', dead)
  local v = rcall('HMGET', key.meta, 'watermark', 'folded', 'begin', 'done', 'rebuilding', 'heartbeats_watermark',
    'last_call_ts', 'resumed_since_ts', 'resumed_ts', 'rebuilt_ts', 'halted', 'look_ts', 'fold_version', 'clock_ts',
    'sources', 'overload', 'shed', 'memory_ts')
  if newer_log(v[13]) then
    return newer_log(v[13])
  elseif v[5] then
    return 'REBUILDING the state is being rebuilt from its log (' .. v[5] .. '): call again in a moment'
  end
  if not v[1] and not v[7] and folded_up_to() ~= '0-0' then
    return 'HALTED the log has been folded before, but its state is gone: a worker rebuilds it'
  elseif v[3] ~= v[4] then
    return 'HALTED ' .. (v[11] or 'a call was torn at ' .. v[3]) .. ': a worker rebuilds the state from its log'
  end
  meta = {
    watermark = v[1] or '0-0', folded = tonumber(v[2] or 0), heartbeats_watermark = v[6] or '0-0',
    last_call_ts = tonumber(v[7] or 0), resumed_since_ts = tonumber(v[8] or 0), resumed_ts = tonumber(v[9] or 0),
    rebuilt_ts = tonumber(v[10] or 0), look_ts = v[12] or '0', fold_version = tonumber(v[13] or 1), clock_ts = v[14] or '',
    done = v[4], sources = v[15] or '', overload = overload_of(v[16]), shed = v[17] and cjson.decode(v[17]) or {}, memory_ts = tonumber(v[18] or 0),
  }
  local clock, went_on = clock_ms(), nil
  went_on, meta.counted_ts = go_on(clock, v[14])
  now = math.max(clock, went_on, tonumber(match(meta.watermark, '^%d+')))
  skew = now - clock
  now_text = format('%.0f', now)
end
