-- Refuse a job that had to be dispatched at once.

-- What a pair lacks whose pools are these few: a pool, a member of one, one that is not paused, or a node that may take it.
local function why_unserved(pair, pools)
  local code, detail = 'NO_POOL_FOR_LANG_PAIR', 'no pool serves ' .. pair .. ': register a node with such a pool'
  if #pools > 0 then
    code, detail = 'EMPTY_POOL', 'the pools of ' .. pair .. ' have no member: register a node'
  end
  for i = 1, #pools do
    if rcall('EXISTS', key.pool_members(pools[i])) == 1 then
      if not rcall('HGET', key.pool_info(pools[i]), 'paused') then
        code, detail = 'NO_AVAILABLE_NODE', 'no node of ' .. pair .. ' may receive a job now: all are offline, cordoned, full or not accepting'
        break
      end
      code, detail = 'PAUSED', 'pool ' .. pools[i] .. ' of ' .. pair .. ' is paused: `streamsched resume --pool ' .. pools[i] .. '` lets it have jobs again'
    end
  end
  return code, detail
end

-- Refuse the job, and say why it could not be dispatched.
local function refuse(job_id, job)
  local pair, way = job.src_lang .. '-' .. job.tgt_lang, job.src_lang .. ':' .. job.tgt_lang
  local code, detail
  if is_paused(way) then
    code, detail = 'PAUSED', pair .. ' is paused: submit the job to let it wait, or `streamsched resume --pair ' .. way .. '`'
  else
    -- a sample, because a refusal must not cost more where a pair has thousands of pools
    local pools, sets = {}, rcall('ZRANGE', key.serving(job.src_lang, job.tgt_lang), '0', '15')
    for i = 1, #sets do
      local some = rcall('SRANDMEMBER', key.set_pools(sets[i]), math.ceil(16 / #sets))
      for j = 1, #some do
        pools[#pools + 1] = some[j]
      end
    end
    code, detail = why_unserved(pair, pools)
  end
  decide('job.refused', 'job_id', job_id, 'code', code, 'detail', detail)
end
