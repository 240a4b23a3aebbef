-- USES: context want exclude
-- Whether its node has said this very thing of a job before. The job remembers the last eight: they go with it.
local function told_before(job_id, request_id)
  if not request_id then
    return false
  end
  local told = rcall('HGET', key.job(job_id), 'requests') or ''
  if find('\n' .. told .. '\n', '\n' .. request_id .. '\n', 1, true) then
    return true
  end
  want('HSET', key.job(job_id), 'requests', exclude(told, request_id))
  return false
end
