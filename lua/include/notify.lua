-- USES: context effect mailbox_of
-- Tell the node, through its inbox, that a job it holds is no longer its own.
local function notify(job_id, job, reason)
  if live and job.deliver then
    effect('XADD', key.inbox(mailbox_of(job.node_id)), 'MAXLEN', '~', limit.inbox, '*', 'type', 'job.cancelled', 'job_id', job_id,
      'node_id', job.node_id, 'attempt', job.attempt, 'reason', reason)
  end
end
