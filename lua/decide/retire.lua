-- What is gone for good: jobs of a source that is not trusted any more, nodes that stay offline, pools without a member, sources that are revoked.

-- How many events the retirement of a pool counts as: it leaves the indexes of all its language pairs.
local function weight_of_pool(pool_id)
  local _, languages = gsub(rcall('HGET', key.pool_info(pool_id), 'languages') or '', '[^ ]+', '')
  return math.floor(languages * languages / limit.read)
end

-- Cancel jobs of a source that was revoked with `cancel`: as many as the call has room for, and one where it has none, so that a
-- busy partition gets done with it as well.
local function cancel_jobs(source)
  local jobs = rcall('SRANDMEMBER', key.source_jobs(source), math.max(left, 1))
  for i = 1, #jobs do
    append_entry({ 'type', 'job.cancelled', 'job_id', jobs[i], 'reason', 'source ' .. source .. ' was revoked' }, false)
  end
end

-- Retire what has been gone for `node_retention_ms`. The sorted set has the longest gone first, so the cost does not grow
-- with the number of nodes. A node whose jobs are not yet with others is passed over until they are.
local function retire_gone()
  local retention = config('node_retention_ms')
  local until_ts = retention == 0 and '0' or format_int(now - retention)
  local due = rcall('ZRANGEBYSCORE', key.gone, '-inf', until_ts, 'LIMIT', '0', math.max(left, 1))
  for i = 1, #due do
    local kind, name = match(due[i], '^(%a+) (.*)$')
    if kind == 'jobs' then
      cancel_jobs(name)
    elseif left <= 0 then
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
