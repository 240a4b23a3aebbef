-- USES: context fail
-- The liveness of a registered node; an unknown one is refused.
local function known_node(node_id)
  local v = rcall('HMGET', key.node_info(node_id), 'online', 'accepting', 'full_at', 'since_ts')
  if not v[1] then
    fail('UNKNOWN_NODE', 'node_id ' .. node_id .. ' has never registered: append node.registered first')
  end
  return v[1], v[2], v[3], v[4]
end
