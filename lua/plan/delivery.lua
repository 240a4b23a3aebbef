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

-- How many entries a stream keeps for a reader that stays away, when one of so many bytes is added: at most so many, and fewer
-- large ones. An entry trims what came before it, so no sequence of sizes exceeds a few times `held_bytes`, and nothing is counted.
local function entries_for(most, bytes)
  return format_int(math.min(most, math.ceil(limit.held_bytes / math.max(bytes, 1))))
end

-- Deliver something to a node, with so many bytes of a payload, through its inbox or that of the gateway it registered behind.
local function deliver_to_inbox(mailbox, bytes, ...)
  plan_delivery('XADD', key.inbox(mailbox), 'MAXLEN', '~', entries_for(limit.inbox, bytes), '*', ...)
end

-- Where the assignments of a node go.
local function mailbox_of(node_id)
  return rcall('HGET', key.node_info(node_id), 'mailbox') or node_id
end

-- Tell the node, through its inbox, that a job it holds is no longer its own.
local function notify(job_id, job, reason)
  if live and job.deliver then
    deliver_to_inbox(mailbox_of(job.node_id), 0, 'type', 'job.cancelled', 'job_id', job_id, 'node_id', job.node_id, 'attempt',
      job.attempt, 'reason', reason)
  end
end

-- Tell the client that waits for a job how it ended: by `send`, which is plan_delivery or deliver_now. Its stream lives for so many
-- ms after the last outcome, which is set once a call, because one stream gets many outcomes in it.
local expiring = {}
local function deliver_outcome(send, client, job_id, status, node_id, result_json, problem)
  local reply = key.reply(client)
  send('XADD', reply, 'MAXLEN', '~', entries_for(limit.reply, #result_json), '*', 'job_id', job_id, 'status', status, 'node_id', node_id,
    'result_json', result_json, 'error', problem)
  if not expiring[reply] then
    expiring[reply] = true
    send('PEXPIRE', reply, format_int(limit.reply_ms))
  end
end
