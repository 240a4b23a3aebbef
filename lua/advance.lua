-- Fold what is new, then decide what is due: one atomic, bounded step of the scheduler.
-- KEYS: events heartbeats dead
-- ARGV: prefix batch nonce
-- USES: one_step guarded
-- Replies as one_step says.
return guarded(function()
  return one_step()
end)
