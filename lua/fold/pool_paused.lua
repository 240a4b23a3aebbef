-- An operator keeps new jobs away from a pool; what its nodes hold goes on, and they still serve their other pools.
-- FIELDS: pool_id:id reason?:text request_id?:id
-- USES: want touch known_pool set_pause requested_before
if requested_before(e, pool_id) then
  return
end
known_pool(pool_id)
set_pause('pool ' .. pool_id, true, reason)
want('HSET', key.pool_info(pool_id), 'paused', 'true')
touch('pool', pool_id)
