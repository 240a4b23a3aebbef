-- Fold what is new, then decide what is due: one atomic, bounded step of the scheduler.
-- KEYS: events heartbeats dead
-- ARGV: prefix batch nonce
-- USES: open_call fold_log find_gap settle upgrade resume fold_beats expire_nodes decide_due close_call next_due guarded whole
-- Replies {more, next_due_ts, now, folded, watermark}: `more` is 1 if the bound was reached before the work was done.
return guarded(function()
  left = tonumber(batch)
  local refusal = open_call()
  if refusal then
    return redis.error_reply(refusal)
  end
  local more, gap = 1, nil
  if fold_log() then
    gap = find_gap()
    if not gap then
      settle()
      upgrade()
      resume()
      if left <= 0 or fold_beats() then
        expire_nodes()
        decide_due()
        more = left > 0 and 0 or 1
      end
    end
  end
  local due_ts = next_due()
  -- until then the worker that called will sleep, unless an entry wakes it
  meta.look_ts = whole(math.min(due_ts == '' and math.huge or tonumber(due_ts), now + limit.sleep_ms))
  moved = moved or meta.folded > 0 -- an append may have left the group's cursor behind
  close_call()
  if gap then
    return redis.error_reply(gap)
  end
  return { more, due_ts, now_text, format('%.0f', meta.folded), meta.watermark }
end)
