-- Trim the head of the log: never beyond what is folded or archived, and never past the submission of a job still alive.
-- KEYS: events
-- ARGV: prefix batch:count archived:entry archive archiver:word takes_over:flag
-- `archived` is the id up to which the log is safely on disk, `archive` says where, for an operator who needs what is gone;
-- `archiver` is a token that the archiver made up when it began. One that trims for the first time takes over (`takes_over` is 1):
-- one that began earlier is refused from then on, because it may write to another copy of the archive.
-- Replies {trimmed, more, stopped}: `stopped` is the alive job that must stay, or ''.
local refusal = why_not_trimmed(archiver, takes_over == '1')
if refusal then
  return redis.error_reply(refusal)
end
local watermark = whole_watermark()
local first = rcall('XRANGE', events, '-', '+', 'COUNT', 1)
if first[1] and at_or_before(first[1][1], archived) and #rcall('XRANGE', events, archived, archived) == 0 then
  -- a failover since the archiver looked: the archive holds other events than would be trimmed
  return redis.error_reply('FORK the archive ends at ' .. archived .. ', which the log has lost: it is not trimmed')
end
local bound = at_or_before(archived, watermark) and archived or watermark
local after, keep, stopped = '-', nil, nil
left = tonumber(batch)
repeat
  local asked = math.min(left, limit.read)
  local slice = rcall('XRANGE', events, after, bound, 'COUNT', asked)
  for i = 1, take(slice) do
    local id, e = slice[i][1], fields_of(slice[i][2])
    if e.type == 'job.submitted' then
      local job_id = job_id_of(e, id)
      local job = rcall('HMGET', key.job(job_id), 'status', 'submit_id')
      if job[2] == id and not is_terminal(job[1]) then
        keep, stopped = id, job_id
        break
      end
    end
    keep, after = next_id(id), '(' .. id
  end
until stopped or left <= 0 or #slice < asked
local trimmed = 0
if keep then
  trimmed = rcall('XTRIM', events, 'MINID', '=', keep) -- first, because it is allowed on a server that is out of memory
  rcall('HSET', key.meta, 'archived', archived, 'archive', archive, 'archiver', archiver)
elseif takes_over == '1' then
  rcall('HSET', key.meta, 'archive', archive, 'archiver', archiver)
end
if stopped then
  rcall('HSET', key.meta, 'pinned', keep .. ' ' .. stopped)
elseif left > 0 then
  rcall('HDEL', key.meta, 'pinned')
end
return { trimmed, not stopped and left <= 0 and 1 or 0, stopped or '' }
