-- Append the caller's own events behind the tail, fold them, and decide what they bring about: the answer to each comes
-- back in the same round trip.
-- KEYS: events heartbeats dead
-- ARGV: prefix batch:count nonce:word known_log:entry archived:flag own
-- `own` is a JSON list with each event as a flat list of texts. Replies {more, now, answers, archived, log, watermark}.
-- `more` is 1 while the log ahead is longer than one call may fold: nothing was appended then, and only those events are
-- answered that need not wait, each with its position in front. 2 if decisions are left for later.

-- Append one event, or shed it. Returns its answer, and whether it is a beat that is still to be folded.
local function append_one(flat, named)
  local scarce = flat[2] == 'job.submitted' and (meta.overload.memory and 'memory' or waiting_is_full() and 'waiting')
  local e = scarce and fields_of(flat)
  if e and (scarce == 'memory' or e.immediate ~= 'true') and rcall('EXISTS', key.job(job_id_of(e, ''))) == 0 then
    return { 'OVERLOADED', shed_submission(scarce, now) }
  elseif flat[2] == 'node.heartbeat' and not (named and fields_of(flat).request_id) then -- else it has to count once
    raise_fence('heartbeat')
    return { '', add_beat(flat), beat = true }, true
  end
  local id, refused = append_entry(flat, false)
  return refused and { refused.code, refused.detail } or { '', id, flat }
end

return guarded(function()
  local flats, problems = read_events(own)
  local refusal = not flats and problems or open_call()
  if refusal then
    return redis.error_reply(refusal)
  end
  local tail = fold_log()
  local gap = tail and find_gap()
  if gap or not tail then
    local answers = gap and {} or answer_ahead(flats, problems)
    close_call()
    return gap and redis.error_reply(gap) or { 1, now_text, answers, meta.archived, meta.log, meta.watermark }
  end
  enter_tail()
  local answers, beats, room = {}, false, left
  local named = find(own, '"request_id"', 1, true)
  for n = 1, #flats do
    if problems[n] then
      answers[n] = { 'INVALID_FIELD', problems[n] }
    else
      local beat
      answers[n], beat = append_one(flats[n], named)
      beats = beats or beat
    end
  end
  left = room -- the caller bounds its own events; they must not starve what they bring about
  reindex()
  if beats then
    fold_beats()
  end
  decide_due()
  for n = 1, #answers do
    answers[n] = answer(answers[n])
  end
  close_call(left <= 0 or soonest_ts < tonumber(meta.look_ts))
  return { left > 0 and 0 or 2, now_text, answers, meta.archived, meta.log, meta.watermark }
end)
