-- What a caller learns about the events that it appended.

-- The answer to one event: its code ('' for accepted) and id, and for a submission what became of the job.
local function answer(own)
  local flat = own[3]
  local problem = own.beat and beat_problems[own[2]] -- an event of the log may have the id of a beat
  if problem then
    return { problem.code, problem.detail }
  end
  if not flat or flat[2] ~= 'job.submitted' then
    own[3] = nil
    return own
  end
  local job_id = job_id_of(fields_of(flat), own[2])
  local v = rcall('HMGET', key.job(job_id), 'status', 'node_id', 'pool_id', 'attempt', 'error')
  return { '', own[2], job_id, v[1] or '', v[2] or '', v[3] or '', v[4] or '', v[5] or '' }
end

-- The answers that need not wait until the log is folded: an event that is no event is refused, a beat is taken, and a
-- submission is shed where too much is ahead of it. Returns {position, code, id or detail} of these.
local function answer_ahead(flats, problems)
  local answers, ahead = {}, nil
  for n = 1, #flats do
    local flat, problem = flats[n], problems[n]
    local e = problem and {} or fields_of(flat)
    if problem then
      answers[#answers + 1] = { n, 'INVALID_FIELD', problem }
    elseif e.type == 'node.heartbeat' and not e.request_id and rcall('EXISTS', key.node_info(e.node_id or '')) == 1 then
      raise_fence('heartbeat')
      answers[#answers + 1] = { n, '', add_beat(flat) }
    elseif e.type == 'job.submitted' then
      ahead = ahead or fields_of(rcall('XINFO', 'STREAM', events))['entries-added'] - meta.folded
      if ahead > config('max_lag') and rcall('EXISTS', key.job(job_id_of(e, ''))) == 0 then
        note_lag(ahead)
        answers[#answers + 1] = { n, 'OVERLOADED', shed_submission('lag', now) }
      end
    end
  end
  return answers
end
