-- Fold what is new, then decide what is due: one atomic, bounded call of the scheduler, in six steps.
-- KEYS: events heartbeats dead
-- ARGV: prefix batch:count nonce:word known_log:entry archived:flag
-- Replies as close_step says.
return guarded(function()
  local more, gap = 1, nil
  local refusal = open_call() -- 1. read where the partition stands
  if refusal then
    return redis.error_reply(refusal)
  end
  if fold_log() then -- 2. fold the log; the rest only at its tail
    gap = find_gap()
    if not gap then
      enter_tail() -- 3. record what happened since the last call
      watch_load('memory')
      if fold_beats() then -- 4. fold the heartbeats, record what they changed
        expire_nodes() -- 5. decide what is due: each decision is appended as a fact, and folded at once
        decide_due()
        retire_gone()
        more = left > 0 and 0 or 1
      end
    end
  end
  return close_step(more, gap, {}) -- 6. write the new watermark, lower the fence
end)
