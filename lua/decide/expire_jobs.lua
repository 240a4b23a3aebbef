-- USES: context decide
-- End the jobs whose deadline has passed.
local function expire_jobs()
  local due = rcall('ZRANGEBYSCORE', key.deadlines, '-inf', now_text, 'LIMIT', '0', left)
  for i = 1, #due do
    decide('job.expired', 'job_id', due[i])
  end
end
