-- USES: settle_node settle_pool settle_pair touch
-- Bring every index that follows from touched state in line with it. What it writes is a pure function of that state,
-- so it does not matter how many events lie between two settlements: live and replay end alike.
-- The nodes and pools, which every choice reads, come first; the ranking of the pairs is read once for many jobs.
local function settle_places()
  if next(touched.node) then
    for node_id in pairs(touched.node) do
      settle_node(node_id)
    end
    touched.node = {}
  end
  if next(touched.pool) then
    for pool_id in pairs(touched.pool) do
      settle_pool(pool_id)
    end
    touched.pool = {}
  end
end
local function settle()
  if not any_touched then
    return
  end
  settle_places()
  for pair in pairs(touched.pair) do
    settle_pair(pair)
  end
  touched.pair = {}
  any_touched = false
end
