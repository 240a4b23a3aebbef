-- Whether a node holds the job now.
local function is_held(job)
  return job.status == 'dispatched' or job.status == 'running'
end
