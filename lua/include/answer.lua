-- USES: context fields_of fold_beats
-- What the caller of one event is told: its code ('' for accepted) and id, and for a submission what became of the job.
local function answer(own)
  local flat = own[3]
  local problem = flat and beat_problems[own[2]]
  if problem then
    return { problem.code, problem.detail }
  end
  if not flat or flat[2] ~= 'job.submitted' then
    own[3] = nil
    return own
  end
  local e = fields_of(flat)
  local job_id = e.job_id or (e.session_id .. ':' .. (e.request_id or own[2]))
  local v = rcall('HMGET', key.job(job_id), 'status', 'node_id', 'pool_id', 'attempt', 'error')
  return { '', own[2], job_id, v[1] or '', v[2] or '', v[3] or '', v[4] or '', v[5] or '' }
end
