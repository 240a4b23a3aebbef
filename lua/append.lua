-- Append the caller's own events behind the tail, fold them, and decide what they bring about: the answer to each comes
-- back in the same round trip.
-- KEYS: events heartbeats dead
-- ARGV: prefix batch nonce own
-- USES: open_call fold_log find_gap settle upgrade resume append_entry fold_beats decide_due raise_fence fields_of close_call next_due guarded answer
-- `own` is a JSON list with each event as a flat list of texts. Replies {more, next_due_ts, now, answers, watermark}.
-- `more` is 1, and nothing was appended, while the log ahead is longer than one call may fold; 2 if decisions are left
-- for later.
return guarded(function()
  left = tonumber(batch)
  local refusal = open_call()
  if refusal then
    return redis.error_reply(refusal)
  end
  local tail = fold_log()
  local gap = tail and find_gap()
  if gap or not tail then
    close_call()
    return gap and redis.error_reply(gap) or { 1, '', now_text, {}, meta.watermark }
  end
  settle()
  upgrade()
  resume()
  local answers, beats, room = {}, false, left
  for _, flat in ipairs(cjson.decode(own)) do
    if flat[2] == 'node.heartbeat' and not fields_of(flat).request_id then -- else it is to count once: the log sees to it
      raise_fence('heartbeat')
      local id = rcall('XADD', heartbeats, 'MAXLEN', '~', limit.heartbeats, '*', unpack(flat))
      answers[#answers + 1] = { '', id, flat }
      beats = true
    else
      local id, problem = append_entry(flat, false)
      answers[#answers + 1] = problem and { problem.code, problem.detail } or { '', id, flat }
    end
  end
  left = room -- the caller bounds its own events; they must not starve what they bring about
  settle()
  if beats then
    fold_beats()
  end
  decide_due()
  for n = 1, #answers do
    answers[n] = answer(answers[n])
  end
  local due_ts = next_due()
  close_call(left <= 0 or due_ts ~= '' and tonumber(due_ts) < tonumber(meta.look_ts))
  return { left > 0 and 0 or 2, due_ts, now_text, answers, meta.watermark }
end)
