-- USES: context touch each_pair
-- Bring the index of open pools in line with whether this pool has a node that may receive a job, and is not paused.
local function settle_pool(pool_id)
  local info = key.pool_info(pool_id)
  local v = rcall('HMGET', info, 'languages', 'open', 'paused')
  if not v[2] then
    return -- never registered: the event that touched it was refused
  end
  local open = not v[3] and rcall('EXISTS', key.pool_online(pool_id)) == 1 and 'true' or 'false'
  if open ~= v[2] then
    rcall('HSET', info, 'open', open)
    each_pair(v[1], function(src, tgt)
      rcall(open == 'true' and 'SADD' or 'SREM', key.open(src, tgt), pool_id)
      touch('pair', src .. ':' .. tgt)
    end)
  end
end
