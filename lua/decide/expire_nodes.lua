-- USES: context decide config whole raise_fence
-- Find the online nodes that have been silent for too long. A beat moves no timer, which keeps it cheap: whoever comes
-- up here with a younger beat is simply looked at again later. After an outage of the scheduler, or a rebuild, the
-- silence counts from its return.
local function expire_nodes()
  if left <= 0 then
    return
  end
  local timeout = config('heartbeat_timeout_ms')
  local due = rcall('ZRANGEBYSCORE', key.expiry, '-inf', now_text, 'LIMIT', '0', left)
  for i = 1, #due do
    local v = rcall('HMGET', key.node_info(due[i]), 'last_heartbeat_ts', 'since_ts')
    local heard = math.max(tonumber(v[1] or 0), tonumber(v[2]), meta.resumed_ts, meta.rebuilt_ts)
    if heard + timeout > now then
      raise_fence(meta.watermark)
      rcall('ZADD', key.expiry, whole(heard + timeout), due[i])
      left = left - 1
    else
      decide('node.expired', 'node_id', due[i], 'last_heartbeat_ts', v[1] or '0')
    end
  end
end
