-- An operator lets a paused pool have jobs again.
-- FIELDS: pool_id:id reason?:text request_id?:id
-- USES: want touch known_pool set_pause requested_before
if requested_before(e, pool_id) then
  return
end
known_pool(pool_id)
set_pause('pool ' .. pool_id, false)
want('HDEL', key.pool_info(pool_id), 'paused')
touch('pool', pool_id)
