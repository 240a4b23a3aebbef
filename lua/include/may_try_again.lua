-- USES: context config
-- Whether a job that has failed on its node has an attempt left.
local function may_try_again(job_id, job)
  if not job.deliver then
    return false -- only its caller could send it to another node
  end
  local v = rcall('HMGET', key.job(job_id), 'attempts', 'max_attempts')
  return tonumber(v[1] or 0) < tonumber(v[2] or config('max_attempts'))
end
