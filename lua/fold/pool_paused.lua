-- An operator keeps new jobs away from a pool; the jobs that its nodes hold go on, and they still serve their other pools.
-- FIELDS: pool_id:id reason?:text request_id?:id
-- ONCE: pool_id
known_pool(pool_id)
set_pause('pool ' .. pool_id, true, reason)
plan_write('HSET', key.pool_info(pool_id), 'paused', 'true')
plan_write('ZREM', key.gone, 'pool ' .. pool_id) -- it is kept while it is paused, with or without members
mark_dirty('pool', pool_id)
