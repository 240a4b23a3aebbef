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
local entries = rcall('XRANGE', events, '-', bound, 'COUNT', batch)
local keep, stopped
for i = 1, #entries do
  local id, e = entries[i][1], fields_of(entries[i][2])
  if e.type == 'job.submitted' then
    local job_id = job_id_of(e, id)
    local job = rcall('HMGET', key.job(job_id), 'status', 'submit_id')
    if job[2] == id and not is_terminal(job[1]) then
      keep, stopped = id, job_id
      break
    end
  end
end
if not keep and #entries > 0 then
  keep = next_id(entries[#entries][1])
end
local trimmed = 0
if keep then
  trimmed = rcall('XTRIM', events, 'MINID', '=', keep) -- first, because it is allowed on a server that is out of memory
  rcall('HSET', key.meta, 'archived', archived, 'archive', archive, 'archiver', archiver)
elseif takes_over == '1' then
  rcall('HSET', key.meta, 'archive', archive, 'archiver', archiver)
end
return { trimmed, (not stopped and #entries == tonumber(batch)) and 1 or 0, stopped or '' }
