-- Trim the head of the log: never beyond what is folded or archived, and never past the submission of a job still alive.
-- KEYS: events
-- ARGV: prefix batch:count archived:entry archive
-- `archived` is the id up to which the log is safely on disk, `archive` says where, for an operator who needs what is gone.
-- Replies {trimmed, more, stopped}: `stopped` is the alive job that must stay, or ''.
local watermark = whole_watermark()
if not watermark then
  return redis.error_reply('REBUILDING the state is not whole: the log is not trimmed until it is')
end
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
  rcall('HSET', key.meta, 'archived', archived, 'archive', archive)
end
return { trimmed, (not stopped and #entries == tonumber(batch)) and 1 or 0, stopped or '' }
