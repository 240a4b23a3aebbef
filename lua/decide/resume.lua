-- USES: context decide written
-- Notice that nobody called for a while: time limits that ran out meanwhile start anew from here.
local function resume()
  local since = meta.last_call_ts
  meta.last_call_ts = now
  if now - since <= limit.outage_ms then
    return
  end
  if rcall('ZCOUNT', written(key.timers), '(0', now_text) + rcall('ZCOUNT', key.expiry, '-inf', now_text) > 0 then
    decide('scheduler.resumed', 'since_ts', format('%.0f', since))
  end
end
