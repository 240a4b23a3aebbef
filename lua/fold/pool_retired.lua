-- A pool has had no member for `node_retention_ms`: it is forgotten, and the pairs that it alone served with it.
-- FACT: pool_id
local info = key.pool_info(pool_id)
if rcall('EXISTS', key.pool_members(pool_id)) == 1 or rcall('HGET', info, 'paused') then
  return -- decided on a new log whose events now stand behind restored ones: of what these say it knew nothing
end
each_pair(rcall('HGET', info, 'languages') or '', function(src, tgt)
  plan_write('SREM', key.lang(src, tgt), pool_id)
  plan_write('SREM', key.open(src, tgt), pool_id)
  mark_dirty('pair', src .. ':' .. tgt)
end)
plan_write('DEL', info)
plan_write('SREM', key.pools, pool_id)
plan_write('ZREM', key.gone, 'pool ' .. pool_id)
