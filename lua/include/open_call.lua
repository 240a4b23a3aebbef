-- USES: context
-- Read where the partition stands, and refuse to go on where that would do harm. Returns the refusal, or nil.
local function open_call()
  local v = rcall('HMGET', key.meta, 'watermark', 'folded', 'begin', 'done', 'rebuilding', 'heartbeats_watermark',
    'last_call_ts', 'resumed_since_ts', 'resumed_ts', 'rebuilt_ts', 'halted', 'look_ts')
  if v[5] then
    return 'REBUILDING the state is being rebuilt from its log (' .. v[5] .. '): call again in a moment'
  end
  if v[3] ~= v[4] then
    return 'HALTED ' .. (v[11] or 'a call was torn at ' .. v[3]) .. ': a worker rebuilds the state from its log'
  end
  meta = {
    watermark = v[1] or '0-0', folded = tonumber(v[2] or 0), heartbeats_watermark = v[6] or '0-0',
    last_call_ts = tonumber(v[7] or 0), resumed_since_ts = tonumber(v[8] or 0), resumed_ts = tonumber(v[9] or 0),
    rebuilt_ts = tonumber(v[10] or 0), look_ts = v[12] or '0',
  }
  local time = rcall('TIME')
  now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
  local clock = now
  now = math.max(clock, meta.last_call_ts, tonumber(match(meta.watermark, '^%d+')))
  skew = now - clock
  now_text = format('%.0f', now)
end
