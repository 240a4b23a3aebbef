-- USES: want touch bump room_of
-- Take a held job off its node.
local function release(job_id, job)
  want_member('SREM', key.node_jobs(job.node_id), job_id)
  if job.timer ~= '' then
    want_member('ZREM', key.timers, job_id)
  end
  if job.status == 'dispatched' and job.deliver then
    want_member('HSET', key.node_info(job.node_id), 'pending', room_of(job.node_id).pending - 1)
  end
  bump('held', -1)
  touch('node', job.node_id)
end
