-- USES: context want touch config whole falls_due
-- Apply what is now known of a node's presence. Whatever says "I accept" also doubles the learnt bound: a node
-- that was full is asked again, but not flooded again.
local function set_liveness(node_id, online, accepting, was_online, full_at)
  local info = key.node_info(node_id)
  if online ~= was_online then
    want('HSET', info, 'online', online, 'since_ts', at_text)
    if online == 'true' then
      accepting = accepting or 'true' -- it is not bound by what it said before it went
      want('SADD', key.online, node_id)
      want('HDEL', info, 'full_at')
      want('SREM', key.lost, node_id) -- it is back with its jobs, before anybody took them away
      want('ZADD', key.expiry, falls_due(whole(at + config('heartbeat_timeout_ms'))), node_id)
    else
      want('SREM', key.online, node_id)
      want('ZREM', key.expiry, node_id)
    end
  elseif accepting == 'true' and full_at then
    want('HSET', info, 'full_at', whole(tonumber(full_at) * 2 + 1))
  end
  if accepting then
    want('HSET', info, 'accepting', accepting)
  end
  touch('node', node_id)
end
