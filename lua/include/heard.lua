-- USES: context sender_of not_behind written
-- What an event of a source does, folded or refused: the source has been taken in up to there, so that a call which was torn
-- between copying and trimming copies nothing twice. And a producer whose submission was refused is told so: behind an
-- ingress it has no other answer.
local function heard(e, problem)
  local sender = sender_in(e)
  if not sender then
    return
  end
  if not e.retry_of and not not_behind(e.source_id, sender.last_id) then
    sender.last_id = e.source_id
    gather('HSET', key.source(e.source), 'last_id', e.source_id)
  end
  if problem and burying and e.type == 'job.submitted' and e.job_id and e.reply_to and #e.reply_to <= limit.id
    and e.reply_to:sub(1, #e.source + 1) == e.source .. '/' then
    local reply = key.reply(e.reply_to)
    rcall('XADD', reply, 'MAXLEN', '~', limit.reply, '*', 'job_id', e.job_id, 'status', 'refused', 'node_id', '', 'result_json', '',
      'error', problem.code .. ' ' .. problem.detail)
    rcall('PEXPIRE', reply, limit.reply_ms)
  end
end
