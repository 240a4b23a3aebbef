-- USES: context fail
-- Whether this very submission was accepted before. The same id with other content is refused: one of the two would
-- otherwise be lost without a word.
local OPTIONS = { 'priority', 'deadline_ts', 'not_before_ts', 'max_attempts', 'affinity', 'reply_to', 'traceparent',
  'immediate', 'deliver' }
local SUBMISSION = { 'session_id', 'src_lang', 'tgt_lang', 'payload_json', 'priority', 'deadline_ts', 'not_before_ts',
  'max_attempts', 'affinity', 'reply_to', 'traceparent', 'immediate', 'deliver' }
local function submitted_before(job_id, e)
  if rcall('EXISTS', key.job(job_id)) == 0 then
    return false -- asked first, because it is nearly always so, and to read 13 fields costs six times as much
  end
  local stored = rcall('HMGET', key.job(job_id), unpack(SUBMISSION))
  for i, field in ipairs(SUBMISSION) do
    -- reply address and trace belong to the call, not to the content: a restarted client asks with others
    if field ~= 'reply_to' and field ~= 'traceparent' and (stored[i] or nil) ~= e[field] then
      fail('JOB_CONFLICT', 'job_id ' .. job_id .. ' was submitted before with another ' .. field .. ': use a new job_id')
    end
  end
  return true
end
