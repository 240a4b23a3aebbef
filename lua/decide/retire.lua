-- What is gone for good: nodes that stay offline, pools without a member, sources that are revoked.

-- How many events the retirement of a pool counts as: it leaves the indexes of all its language pairs.
local function weight_of_pool(pool_id)
  local _, languages = gsub(rcall('HGET', key.pool_info(pool_id), 'languages') or '', '[^ ]+', '')
  return math.floor(languages * languages / limit.read)
end

-- Retire what has been gone for `node_retention_ms`. The sorted set has the longest gone first, so the cost does not grow
-- with the number of nodes. A node whose jobs are not yet with others is passed over until they are.
local function retire_gone()
  local retention = config('node_retention_ms')
  if left <= 0 or retention == 0 then
    return
  end
  local due = rcall('ZRANGEBYSCORE', key.gone, '-inf', format_int(now - retention), 'LIMIT', '0', left)
  for i = 1, #due do
    local kind, name = match(due[i], '^(%a+) (.*)$')
    if left <= 0 then
      return
    elseif kind == 'pool' then
      left = left - weight_of_pool(name)
      decide('pool.retired', 'pool_id', name)
    elseif kind == 'source' and sender_of(name).living > 0 then
      left = left - 1 -- its jobs are counted until they have ended
    elseif kind == 'source' then
      decide('source.retired', 'source', name)
    elseif held_by(name) == 0 then
      append_entry({ 'type', 'node.retired', 'node_id', name, 'reason', 'offline for node_retention_ms' }, false)
      reindex_nodes_and_pools()
    end
  end
end
