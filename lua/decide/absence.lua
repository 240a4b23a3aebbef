-- An absence of the scheduler: time limits that ran out during it start again.

-- Whether the scheduler was not called for so long that it counts as absent: half of the shortest limit in force, so that
-- a node that beat just before is not lost to the other half, but never as short as an idle worker sleeps.
local function was_away(silent)
  if silent <= 2 * limit.sleep_ms or silent > limit.outage_ms then
    return silent > limit.outage_ms
  end
  local shortest = math.huge
  for _, name in ipairs({ 'heartbeat_timeout_ms', 'accept_timeout_ms', 'job_timeout_ms' }) do
    local timeout = config(name)
    shortest = timeout > 0 and math.min(shortest, timeout) or shortest
  end
  return silent > shortest / 2
end

-- Notice an absence. Where an earlier one has still left some limits to be extended, both count as one.
local function resume()
  local since = meta.last_call_ts
  meta.last_call_ts = now
  local counted_text = skew > 0 and format('%.0f', meta.counted_ts) or ''
  if counted_text ~= meta.clock_ts then
    rcall('HSET', key.meta, 'clock_ts', counted_text)
  end
  if not was_away(now - since) then
    return
  end
  local timers = flush(key.timers)
  if rcall('ZCOUNT', timers, '(0', now_text) + rcall('ZCOUNT', key.expiry, '-inf', now_text) > 0 then
    local since_text = format('%.0f', meta.resumed_since_ts)
    if rcall('ZCOUNT', timers, '(' .. since_text, format('%.0f', meta.resumed_ts)) == 0 then
      since_text = format('%.0f', since)
    end
    decide('scheduler.resumed', 'since_ts', since_text)
  end
end
