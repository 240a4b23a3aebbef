-- USES: open_call fold_log find_gap settle upgrade resume watch_load counted fold_beats expire_nodes decide_due close_call next_due whole
-- Fold what is new, then decide what is due. `take_in` is called at the tail, for what is new elsewhere.
-- Returns {more, next_due_ts, now, folded, sources, held, watermark}, or an error: `more` is 1 if the bound was reached
-- before the work was done; `sources` is the event that last changed who may speak through an ingress, '' for none.
local function one_step(take_in)
  left = tonumber(batch)
  local refusal = open_call()
  if refusal then
    return redis.error_reply(refusal)
  end
  local more, gap, held = 1, nil, {}
  if fold_log() then
    gap = find_gap()
    if not gap then
      settle()
      upgrade()
      resume()
      if meta.shed.lag then
        watch_load('lag')
      end
      watch_load('memory')
      held = take_in and take_in() or held
      if left <= 0 or fold_beats() then
        expire_nodes()
        decide_due()
        if counters_read or meta.overload.waiting or meta.shed.waiting then
          watch_load('waiting')
        end
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
  return { more, due_ts, now_text, whole(meta.folded), meta.sources, held, meta.watermark }
end
