-- Trim the head of the log: never beyond what is folded or archived, and never past the submission of a job still alive.
-- KEYS: events
-- ARGV: prefix batch archived archive
-- USES: context fields_of not_behind is_terminal id_behind is_whole
-- `archived` is the id up to which the log is safely on disk, `archive` says where, for whoever misses what is gone.
-- Replies {trimmed, more, stopped}: `stopped` is the alive job that must stay, or ''.
local watermark = is_whole()
if not watermark then
  return redis.error_reply('REBUILDING the state is not whole: the log is not trimmed until it is')
end
local first = rcall('XRANGE', events, '-', '+', 'COUNT', 1)
if first[1] and not_behind(first[1][1], archived) and #rcall('XRANGE', events, archived, archived) == 0 then
  -- a failover since the archiver looked: what it holds is not what would be trimmed
  return redis.error_reply('FORK the archive ends at ' .. archived .. ', which the log has lost: it is not trimmed')
end
local bound = not_behind(archived, watermark) and archived or watermark
local entries = rcall('XRANGE', events, '-', bound, 'COUNT', batch)
local keep, stopped
for i = 1, #entries do
  local id, e = entries[i][1], fields_of(entries[i][2])
  if e.type == 'job.submitted' then
    local job_id = e.job_id or ((e.session_id or '') .. ':' .. (e.request_id or id))
    local job = rcall('HMGET', key.job(job_id), 'status', 'submit_id')
    if job[2] == id and not is_terminal(job[1]) then
      keep, stopped = id, job_id
      break
    end
  end
end
if not keep and #entries > 0 then
  keep = id_behind(entries[#entries][1])
end
local trimmed = 0
if keep then
  trimmed = rcall('XTRIM', events, 'MINID', '=', keep) -- first, because it is allowed on a server that is out of memory
  rcall('HSET', key.meta, 'archived', archived, 'archive', archive)
end
return { trimmed, (not stopped and #entries == tonumber(batch)) and 1 or 0, stopped or '' }
