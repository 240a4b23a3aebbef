-- USES: context config fields_of turn_away raise_fence
-- What can be answered to a caller who has to wait for the log to be folded: a beat does not wait for it, and a submission
-- goes away where too much is ahead. Returns {position, code, id or detail} of these.
local function answer_ahead(flats)
  local answers, ahead = {}, nil
  for n = 1, #flats do
    local e = fields_of(flats[n])
    if e.type == 'node.heartbeat' and not e.request_id and rcall('EXISTS', key.node_info(e.node_id or '')) == 1 then
      raise_fence('heartbeat')
      local id = rcall('XADD', heartbeats, 'MAXLEN', '~', limit.heartbeats, '*', unpack(flats[n]))
      answers[#answers + 1] = { n, '', id }
    elseif e.type == 'job.submitted' then
      ahead = ahead or fields_of(rcall('XINFO', 'STREAM', events))['entries-added'] - meta.folded
      local job_id = e.job_id or (e.session_id or '') .. ':' .. (e.request_id or '')
      if ahead > config('max_lag') and rcall('EXISTS', key.job(job_id)) == 0 then
        far_ahead(ahead)
        answers[#answers + 1] = { n, 'OVERLOADED', turn_away('lag', now) }
      end
    end
  end
  return answers
end
