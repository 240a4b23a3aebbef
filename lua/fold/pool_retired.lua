-- A pool has had no member for `node_retention_ms`: it is forgotten, and the pairs that it alone served with it.
-- FACT: pool_id
local info = key.pool_info(pool_id)
if rcall('EXISTS', key.pool_members(pool_id)) == 1 or rcall('HGET', info, 'paused') then
  return -- decided on a new log whose events now stand behind restored ones: of what these say it knew nothing
end
local set, charged = unpack(rcall('HMGET', info, 'set', 'source'))
if charged then
  discharge_pool(pool_id, charged)
end
if set then
  local moves = {}
  move_pool(moves, pool_id, set, -1)
  move_sets(moves)
end
plan_write('DEL', info)
plan_write('SREM', key.pools, pool_id)
plan_write('ZREM', key.gone, 'pool ' .. pool_id)
