-- USES: context requeue read_job written
-- Give the jobs of offline nodes to others, a bounded number a call.
local function requeue_lost()
  while left > 0 do
    local node_id = rcall('SRANDMEMBER', key.lost)
    if not node_id then
      return
    end
    local jobs = rcall('SRANDMEMBER', written(key.node_jobs(node_id)), left)
    for i = 1, #jobs do
      requeue(jobs[i], read_job(jobs[i]), 'node lost')
    end
  end
end
