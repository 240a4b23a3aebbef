-- Advance, and take in what waits in the ingress streams of sources that were admitted: a stamped copy of it into the log.
-- KEYS: events heartbeats dead
-- ARGV: prefix batch:count nonce:word known_log:entry archived:flag speakers
-- `speakers` are the names of sources that may have something, joined by blanks. Replies as close_step says.
return guarded(function()
  local more, gap, held_sources = 1, nil, {}
  local refusal = open_call()
  if refusal then
    return redis.error_reply(refusal)
  end
  if fold_log() then
    gap = find_gap()
    if not gap then
      enter_tail()
      watch_load('memory')
      held_sources = ingest_sources(speakers) -- the steps of `advance`, and this one
      if fold_beats() then
        expire_nodes()
        decide_due()
        retire_gone()
        more = left > 0 and 0 or 1
      end
    end
  end
  return close_step(more, gap, held_sources)
end)
