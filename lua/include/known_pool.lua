-- USES: context fail
-- Refuse a pool that no node ever registered for: most likely its name is mistyped.
local function known_pool(pool_id)
  if not rcall('HGET', key.pool_info(pool_id), 'languages') then
    fail('UNKNOWN_POOL', 'pool_id ' .. pool_id .. ': no node ever registered for it; `streamsched status` lists the pools by their ids')
  end
end
