-- Deliveries to nodes and clients: made once, when the event is new, and never again on a replay.

-- A delivery goes to replicas, but not into the append-only file, of which it would be a quarter: what a restart loses of it is
-- found as after any other loss. It goes through pcall: a foreign key in the place of an inbox or a reply stream belongs to one
-- node or client, and must not stop the partition.
local write_to = redis.set_repl or function() end -- fakeredis has none
local function deliver_now(...)
  write_to(redis.REPL_REPLICA)
  pcall(rcall, ...)
  write_to(redis.REPL_ALL)
end

-- Deliver something to a node, through its inbox or that of the gateway it registered behind.
local function deliver_to_inbox(mailbox, ...)
  plan_delivery('XADD', key.inbox(mailbox), 'MAXLEN', '~', format_int(limit.inbox), '*', ...)
end

-- Where the assignments of a node go.
local function mailbox_of(node_id)
  return rcall('HGET', key.node_info(node_id), 'mailbox') or node_id
end

-- Tell the node, through its inbox, that a job it holds is no longer its own.
local function notify(job_id, job, reason)
  if live and job.deliver then
    deliver_to_inbox(mailbox_of(job.node_id), 'type', 'job.cancelled', 'job_id', job_id, 'node_id', job.node_id, 'attempt',
      job.attempt, 'reason', reason)
  end
end

-- Tell the client that waits for a job how it ended: by `send`, which is plan_delivery or deliver_now. Its stream lives for so many
-- ms after the last outcome, which is set once a call, because one stream gets many outcomes in it.
local expiring = {}
local function deliver_outcome(send, client, job_id, status, node_id, result_json, problem)
  local reply = key.reply(client)
  send('XADD', reply, 'MAXLEN', '~', format_int(limit.reply), '*', 'job_id', job_id, 'status', status, 'node_id', node_id,
    'result_json', result_json, 'error', problem)
  if not expiring[reply] then
    expiring[reply] = true
    send('PEXPIRE', reply, format_int(limit.reply_ms))
  end
end
