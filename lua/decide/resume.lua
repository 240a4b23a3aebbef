-- USES: context decide
-- Notice that nobody called for a while: time limits that ran out meanwhile start anew from here.
local function resume()
  if now - meta.last_call_ts <= limit.outage_ms then
    return
  end
  if rcall('ZCOUNT', key.timers, '(0', now_text) + rcall('ZCOUNT', key.expiry, '-inf', now_text) > 0 then
    decide('scheduler.resumed', 'since_ts', format('%.0f', meta.last_call_ts))
  end
  meta.last_call_ts = now
end
