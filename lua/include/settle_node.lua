-- USES: context touch written
-- Bring the indexes of one node in line with what its hash says: the pools in which it may receive a job now, and
-- whether it is offline with jobs in its hands.
local function settle_node(node_id)
  local info, jobs = key.node_info(node_id), key.node_jobs(node_id)
  local v = rcall('HMGET', written(info), 'online', 'accepting', 'cordoned', 'pending', 'window', 'full_at', 'open', 'pools')
  if not v[7] then
    return -- never registered: the event that touched it was refused
  end
  local open, was_open = 'false', v[7]
  if v[1] == 'false' then
    if rcall('EXISTS', written(jobs)) == 1 then
      rcall('SADD', key.lost, node_id)
    else
      rcall('SREM', key.lost, node_id)
    end
  elseif v[2] == 'true' and v[3] == 'false' and tonumber(v[4]) < tonumber(v[5])
    and (not v[6] or rcall('SCARD', written(jobs)) < tonumber(v[6])) then
    open = 'true'
  end
  if open ~= was_open then
    rcall('HSET', info, 'open', open)
    rooms[node_id] = nil -- it may have been read between the touch and now
    for pool_id in gmatch(v[8], '[^ ]+') do
      rcall(open == 'true' and 'SADD' or 'SREM', key.pool_online(pool_id), node_id)
      touch('pool', pool_id)
    end
  end
end
