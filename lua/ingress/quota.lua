-- What a source may have at once: jobs, the bytes in them, their age, and pools.

-- The deadline of a job: a job of a source has one in any case, for the log is trimmed no further than to the oldest job that has not
-- ended. Returns it as text; nil for a job without one.
local function deadline_of(e)
  local sender = sender_in(e)
  local latest_ts = sender and at + sender.max_age_ms
  if not sender or e.deadline_ts and tonumber(e.deadline_ts) <= latest_ts then
    return e.deadline_ts
  end
  return format_int(latest_ts)
end

-- Charge a source for a job: what it has that has not ended is bounded, so that it does not fill what all share. Returns what
-- the job notes of it; nil for a job that was appended to the log.
local function charge_source(e, job_id, payload)
  local sender = sender_in(e)
  if not sender then
    return nil
  elseif sender.living >= sender.jobs or sender.living_bytes + #payload > sender.bytes then
    refuse_event('QUOTA_EXCEEDED', 'source ' .. e.source .. ' has ' .. format_int(sender.living) .. ' jobs that have not ended, with '
      .. format_int(sender.living_bytes) .. ' bytes of payloads, and may have ' .. format_int(sender.jobs) .. ' with '
      .. format_int(sender.bytes) .. ': wait until some have ended, or admit it with more')
  end
  count_living(e.source, sender, job_id, 1, #payload)
  return e.source .. ' ' .. format_int(#payload)
end

-- A job has ended, with so many bytes of a result that are kept with it; ids of jobs of a source have its name in front.
local function discharge_source(job_id, result_bytes)
  local charged = find(job_id, '/', 1, true) and rcall('HGET', flush(key.job(job_id)), 'source')
  if charged then
    local name, bytes = charged_to(charged)
    local sender = sender_of(name)
    if sender then
      count_living(name, sender, job_id, -1, -bytes)
      keep_ended(name, sender, job_id, bytes + result_bytes + limit.kept_job)
    end
  end
end

-- Charge a node's source for the result of a job. Returns what the job notes of it; nil where the source has no room for it.
local function charge_result(name, bytes)
  local sender = sender_of(name)
  if sender.result_bytes + bytes <= sender.bytes then
    sender.result_bytes = sender.result_bytes + bytes
    plan_write('HINCRBY', key.source(name), 'result_bytes', format_int(bytes))
    return name .. ' ' .. format_int(bytes)
  end
end

-- Whether a source may create a pool of this id. Others may mean something else by it, so it has a space of its own.
local function may_create(source, sender, pool_id)
  local scope = source .. '.'
  return sender.pools == '*' or pool_id:sub(1, #scope) == scope
    or find(',' .. sender.pools .. ',', ',' .. pool_id .. ',', 1, true) and true
end

-- Charge a source for the pools that its registration creates, so that it does not fill the indexes of all.
local function charge_pools(e, pools)
  local sender = sender_in(e)
  if not sender or #pools == 0 then
    return
  end
  local own, count, added = key.source_pools(e.source), 0, 0
  for i = 1, #pools do
    local pool_id, languages = pools[i].id, #pools[i].languages
    if not may_create(e.source, sender, pool_id) then
      refuse_event('NOT_PERMITTED', 'pool ' .. pool_id .. ' does not exist, and source ' .. e.source .. ' may create those only that begin with '
        .. e.source .. '. : give it such an id, join a pool that exists, or admit the source with pools=' .. pool_id)
    end
    pools[i].charged = languages * (languages - 1)
    count, added = count + 1, added + pools[i].charged
  end
  count = count + rcall('SCARD', own)
  if count > limit.source_pools or sender.own_pairs + added > limit.source_pairs then
    refuse_event('QUOTA_EXCEEDED', 'source ' .. e.source .. ' would have created ' .. count .. ' pools of ' .. sender.own_pairs + added
      .. ' language pairs, and may create ' .. limit.source_pools .. ' of ' .. limit.source_pairs
      .. ': a pool counts until it is retired, node_retention_ms after its last member left; join pools that exist')
  end
  sender.own_pairs = sender.own_pairs + added
  plan_write('HINCRBY', key.source(e.source), 'own_pairs', added)
  for i = 1, #pools do
    plan_write('SADD', own, pools[i].id)
    plan_write('HSET', key.pool_info(pools[i].id), 'source', e.source .. ' ' .. pools[i].charged)
  end
end

-- A pool is retired: the source that created it, given as the pool notes it, may create another one.
local function discharge_pool(pool_id, charged)
  local name, pairs_of_pool = charged_to(charged)
  local own = key.source_pools(name)
  if rcall('SISMEMBER', own, pool_id) == 0 then
    return -- the source is retired, and this is none of its pools if it is there again
  end
  local sender = sender_of(name)
  sender.own_pairs = sender.own_pairs - pairs_of_pool
  plan_write('SREM', own, pool_id)
  plan_write('HINCRBY', key.source(name), 'own_pairs', format_int(-pairs_of_pool))
end
