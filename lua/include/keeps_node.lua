-- USES: context config touch
-- Whether a job can stay on its session's node. Returns the pool that reaches it, or nil and why not.
local function keeps_node(job, pool_id, node_id, excluded)
  if excluded[node_id] then
    return nil, 'broken: tried before'
  end
  local pairs_pools = key.open(job.src_lang, job.tgt_lang)
  local place = node_id .. '\n' .. pool_id .. '\n' .. pairs_pools
  if few_places[place] then
    return pool_id -- as for a job before it
  end
  if rcall('SISMEMBER', key.pool_online(pool_id), node_id) == 1 and rcall('SISMEMBER', pairs_pools, pool_id) == 1 then
    few_places[place] = true
    return pool_id
  end
  local v = rcall('HMGET', key.node_info(node_id), 'online', 'cordoned', 'accepting', 'open', 'pools')
  if v[4] == 'true' then
    for other in gmatch(v[5], '[^ ]+') do
      if rcall('SISMEMBER', pairs_pools, other) == 1 then
        return other
      end
    end
    if config('paused') then
      for other in gmatch(v[5], '[^ ]+') do
        if rcall('HGET', key.pool_info(other), 'paused') and rcall('SISMEMBER', key.lang(job.src_lang, job.tgt_lang), other) == 1 then
          return nil, 'broken: pool paused'
        end
      end
    end
    return nil, 'broken: other languages'
  end
  return nil, v[1] ~= 'true' and 'broken: offline' or v[2] == 'true' and 'broken: cordoned'
    or v[3] ~= 'true' and 'broken: not accepting' or 'broken: full'
end
