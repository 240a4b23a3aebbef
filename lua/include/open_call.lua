-- USES: context whole fields_of clock_ms folded_up_to newer_log go_on overload_of
-- Read where the partition stands, and refuse to go on where that would do harm. Returns the refusal, or nil.
local function open_call()
  local v = fields_of(rcall('HGETALL', key.meta))
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
  meta = {
    watermark = v.watermark or '0-0', folded = tonumber(v.folded or 0), heartbeats_watermark = v.heartbeats_watermark or '0-0',
    last_call_ts = tonumber(v.last_call_ts or 0), look_ts = v.look_ts or '0', clock_ts = v.clock_ts or '',
    resumed_since_ts = tonumber(v.resumed_since_ts or 0), resumed_ts = tonumber(v.resumed_ts or 0),
    rebuilt_ts = tonumber(v.rebuilt_ts or 0), memory_ts = tonumber(v.memory_ts or 0), done = v.done,
    fold_version = tonumber(v.fold_version or 1), sources = v.sources or '', overload = overload_of(v.overload),
    shed = v.shed and cjson.decode(v.shed) or {},
  }
  local clock, went_on = clock_ms(), nil
  went_on, meta.counted_ts = go_on(clock, v.clock_ts)
  now = math.max(clock, went_on, tonumber(match(meta.watermark, '^%d+')))
  skew = now - clock
  now_text = whole(now)
end
