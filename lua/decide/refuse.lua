-- USES: context decide
-- Refuse a job that had to be dispatched at once, and say what is missing: a pool, a member, or one that may take it.
local function refuse(job_id, job)
  local pair = job.src_lang .. '-' .. job.tgt_lang
  -- a sample, because a refusal must not cost more where a pair has thousands of pools
  local pools = rcall('SRANDMEMBER', key.lang(job.src_lang, job.tgt_lang), 16)
  local code, detail = 'NO_POOL_FOR_LANG_PAIR', 'no pool serves ' .. pair .. ': register a node with such a pool'
  if #pools > 0 then
    code, detail = 'EMPTY_POOL', 'the pools of ' .. pair .. ' have no member: register a node'
    for i = 1, #pools do
      if rcall('EXISTS', key.pool_members(pools[i])) == 1 then
        code, detail = 'NO_AVAILABLE_NODE', 'no node of ' .. pair .. ' may receive a job now: all are offline, cordoned, full or not accepting'
        break
      end
    end
  end
  decide('job.refused', 'job_id', job_id, 'code', code, 'detail', detail)
end
