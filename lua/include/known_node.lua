-- USES: context fail
-- The liveness of a registered node, and since when nothing older says anything of it: since it came, went or said that it
-- goes. An unknown one is refused.
local function known_node(node_id)
  local v = rcall('HMGET', key.node_info(node_id), 'online', 'accepting', 'full_at', 'since_ts', 'left_ts')
  if not v[1] then
    fail('UNKNOWN_NODE', 'node_id ' .. node_id .. ' has never registered: append node.registered first')
  end
  return v[1], v[2], v[3], math.max(tonumber(v[4]), tonumber(v[5] or 0))
end
