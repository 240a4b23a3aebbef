-- USES: settle_node settle_pool settle_pair touch
-- Bring every index that follows from touched state in line with it. What it writes is a pure function of that state,
-- so it does not matter how many events lie between two settlements: live and replay end alike.
local function settle()
  if not any_touched then
    return
  end
  any_touched = false
  for node_id in pairs(touched.node) do
    settle_node(node_id)
  end
  for pool_id in pairs(touched.pool) do
    settle_pool(pool_id)
  end
  for pair in pairs(touched.pair) do
    settle_pair(pair)
  end
  touched.node, touched.pool, touched.pair = {}, {}, {}
  any_touched = false
end
