-- USES: want touch bump room_of hold unread
-- Take a held job off its node.
local function release(job_id, job)
  hold(job.node_id, job_id, -1)
  if job.timer ~= '' then
    want_member('ZREM', key.timers, job_id)
  end
  if job.status == 'dispatched' and job.deliver then
    count_unread(job.node_id, -1)
  end
  bump('held', -1)
  if not room_of(job.node_id).open then
    look_again(job.node_id) -- one job less may open a node that is closed
  end
end
