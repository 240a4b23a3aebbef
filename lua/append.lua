-- Append the caller's own events behind the tail, fold them, and decide what they bring about: the answer to each comes
-- back in the same round trip.
-- KEYS: events heartbeats dead
-- ARGV: prefix batch nonce own
-- USES: open_call fold_log find_gap settle upgrade resume watch_load counted turn_away answer_ahead append_entry fold_beats decide_due raise_fence fields_of close_call falls_due guarded answer
-- `own` is a JSON list with each event as a flat list of texts. Replies {more, now, answers, watermark}.
-- `more` is 1 while the log ahead is longer than one call may fold: nothing was appended then, and only those are answered
-- that need not wait, each with its position in front. 2 if decisions are left for later.
return guarded(function()
  left = tonumber(batch)
  local refusal = open_call()
  if refusal then
    return redis.error_reply(refusal)
  end
  local tail = fold_log()
  local gap = tail and find_gap()
  if gap or not tail then
    local answers = gap and {} or answer_ahead(cjson.decode(own))
    close_call()
    return gap and redis.error_reply(gap) or { 1, now_text, answers, meta.watermark }
  end
  settle()
  upgrade()
  resume()
  if meta.shed.lag then
    watch_load('lag')
  end
  local named = find(own, '"request_id"', 1, true)
  local answers, beats, room, flats = {}, false, left, cjson.decode(own)
  for n = 1, #flats do
    local flat = flats[n]
    local scarce = flat[2] == 'job.submitted' and (meta.overload.memory and 'memory' or too_many_wait() and 'waiting')
    local e = scarce and fields_of(flat)
    local job_id = e and (e.job_id or (e.session_id or '') .. ':' .. (e.request_id or ''))
    if e and (scarce == 'memory' or e.immediate ~= 'true') and rcall('EXISTS', key.job(job_id)) == 0 then
      answers[n] = { 'OVERLOADED', turn_away(scarce, now) }
    elseif flat[2] == 'node.heartbeat' and not (named and fields_of(flat).request_id) then -- else it is to count once
      raise_fence('heartbeat')
      local id = rcall('XADD', heartbeats, 'MAXLEN', '~', limit.heartbeats, '*', unpack(flat))
      answers[n] = { '', id, flat }
      beats = true
    else
      local id, problem = append_entry(flat, false)
      answers[n] = problem and { problem.code, problem.detail } or { '', id, flat }
    end
  end
  left = room -- the caller bounds its own events; they must not starve what they bring about
  settle()
  if beats and left > 0 then -- a server answers COUNT 0 with nothing at all; they are read by the next call
    fold_beats()
  end
  decide_due()
  if counters_read or meta.overload.waiting or meta.shed.waiting then
    watch_load('waiting')
  end
  for n = 1, #answers do
    answers[n] = answer(answers[n])
  end
  close_call(left <= 0 or soonest_ts < tonumber(meta.look_ts))
  return { left > 0 and 0 or 2, now_text, answers, meta.watermark }
end)
