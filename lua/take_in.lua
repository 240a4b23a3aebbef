-- Advance, and take in what waits in the ingress streams of sources that were admitted: a stamped copy of it into the log.
-- KEYS: events heartbeats dead
-- ARGV: prefix batch nonce speakers
-- USES: one_step drain guarded
-- `speakers` are the names of sources that may have something, joined by blanks. Replies as one_step says; `held` lists those with
-- more to give, each with the ms after which to ask.
return guarded(function()
  return one_step(function()
    return drain(speakers)
  end)
end)
