-- A job goes to a node, under a new attempt.
-- FACT: job_id node_id pool_id nonce seen why affinity
local job = job_to_dispatch(job_id)
local token = id .. '-' .. nonce
local hash, pair = key.job(job_id), job.src_lang .. ':' .. job.tgt_lang
local room = room_of(node_id)
local timer, timeout = 'accept', config('accept_timeout_ms')
if not job.deliver then
  timer, timeout = 'run', config('job_timeout_ms')
end
if timeout == 0 then
  timer = ''
  if job.timer ~= '' then
    plan_member('ZREM', key.timers, job_id)
  end
end
if job.timer == '' then
  plan_member('ZREM', key.waiting(job.src_lang, job.tgt_lang), job_id)
  mark_dirty('pair', pair)
end
if timer ~= '' then
  plan_member('ZADD', key.timers, note_due(format_int(at + timeout)), job_id)
end
local change = { 'HSET', hash, 'status', 'dispatched', 'node_id', node_id, 'pool_id', pool_id, 'attempt', token,
  'attempts', format_int(job.attempts + 1), 'dispatched_ts', at_text }
if timer ~= job.timer then
  change[15], change[16] = 'timer', timer
end
plan_command(change)
hold(node_id, job_id, 1)
move_session(job.session_id, pool_id, node_id, pair, job_id)
if job.deliver then
  count_in_flight(node_id, 1, 0)
  local assignment = { 'type', 'job.assigned', 'job_id', job_id, 'node_id', node_id, 'attempt', token, 'session_id', job.session_id,
    'src_lang', job.src_lang, 'tgt_lang', job.tgt_lang, 'payload_json', job.payload_json, 'attempts', format_int(job.attempts + 1) }
  if timer == 'accept' then
    assignment[#assignment + 1], assignment[#assignment + 2] = 'accept_by_ts', format_int(at + timeout)
  end
  if job.excluded ~= '' then
    assignment[#assignment + 1], assignment[#assignment + 2] = 'retried', 'true'
  end
  if job.deadline_ts then
    assignment[#assignment + 1], assignment[#assignment + 2] = 'deadline_ts', job.deadline_ts
  end
  if job.traceparent then
    assignment[#assignment + 1], assignment[#assignment + 2] = 'traceparent', job.traceparent
  end
  deliver_to_inbox(room.mailbox, #job.payload_json, unpack(assignment))
else
  count_in_flight(node_id, 0, -1) -- its caller hands it over at once
end
bump('waiting', -1)
bump('held')
bump('dispatched')
if room.full_at then
  mark_node_dirty(node_id) -- otherwise one more job closes nothing
end
