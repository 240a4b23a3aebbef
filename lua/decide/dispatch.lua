-- USES: context decide choose
-- Send a job to the node chosen for it, and record why that one. Returns false where no node may receive it.
local function dispatch(job_id, job)
  local node_id, pool_id, seen, why, affinity = choose(job)
  if not node_id then
    return false
  end
  decide('job.dispatched', 'job_id', job_id, 'node_id', node_id, 'pool_id', pool_id, 'nonce', nonce,
    'seen', seen, 'why', why, 'affinity', affinity)
  return true
end
