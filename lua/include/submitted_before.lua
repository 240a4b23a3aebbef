-- USES: context fail
-- Whether this very submission was accepted before. The same id with other content is refused: one of the two would
-- otherwise be lost without a word.
local SUBMISSION = { 'session_id', 'src_lang', 'tgt_lang', 'payload_json', 'priority', 'deadline_ts', 'not_before_ts',
  'max_attempts', 'affinity', 'reply_to', 'traceparent', 'immediate', 'deliver' }
local function submitted_before(job_id, e)
  local stored = rcall('HMGET', key.job(job_id), 'status', unpack(SUBMISSION))
  if not stored[1] then
    return false
  end
  for i, field in ipairs(SUBMISSION) do
    -- the reply address belongs to the caller, not to the content: a restarted client asks with another one
    if field ~= 'reply_to' and (stored[i + 1] or nil) ~= e[field] then
      fail('JOB_CONFLICT', 'job_id ' .. job_id .. ' was submitted before with another ' .. field .. ': use a new job_id')
    end
  end
  return true
end
