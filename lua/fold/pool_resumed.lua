-- An operator lets a paused pool have jobs again.
-- FIELDS: pool_id:id reason?:text request_id?:id
-- ONCE: pool_id
known_pool(pool_id)
if rcall('HGET', key.pool_info(pool_id), 'paused') and rcall('EXISTS', key.pool_members(pool_id)) == 0 then
  plan_write('ZADD', key.gone, at_text, 'pool ' .. pool_id)
end
set_pause('pool ' .. pool_id, false)
plan_write('HDEL', key.pool_info(pool_id), 'paused')
mark_dirty('pool', pool_id)
