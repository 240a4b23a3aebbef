-- The steps of a call that `advance`, `ingest` and `append` share.

-- Record that from here on a newer version of the folds is at work; an older one has folded what stands before. Not before an
-- operator has configured it: older programs stop then.
local function upgrade()
  if meta.fold_version < limit.fold_version then -- asked first, for it reads nothing
    local wanted = math.min(config('fold_version'), limit.fold_version)
    if meta.fold_version < wanted then
      decide('scheduler.upgraded', 'fold_version', wanted)
    end
  end
end

-- The tail is reached: the indexes are brought in line, and what has happened since the last call is recorded.
local function enter_tail()
  reindex()
  upgrade()
  resume()
  if meta.shed.lag then
    watch_load('lag')
  end
end

-- Decide everything that is due at the tail, in the order in which one decision may bring about the next.
local function decide_due()
  reindex()
  for _, step in ipairs({ fire_timers, requeue_lost, expire_jobs, dispatch_waiting }) do
    if left > 0 then
      step()
    end
  end
  if counters_read or meta.overload.waiting or meta.shed.waiting then
    watch_load('waiting')
  end
end

-- End a step of a worker. Returns {more, next_due_ts, now, folded, sources, held, archived, log, watermark}, or an error:
-- `more` is 1 if the bound was reached before the work was done; `sources` is the event that last changed the sources, '' for
-- none; `held` lists the sources with more to give, each with the ms after which to ask.
local function close_step(more, gap, held_sources)
  local due_ts = next_due()
  -- until then the worker that called will sleep, unless an entry wakes it
  meta.look_ts = format_int(math.min(due_ts == '' and math.huge or tonumber(due_ts), now + limit.sleep_ms))
  moved = moved or meta.folded > 0 -- an append may have left the group's cursor behind
  close_call()
  if gap then
    return redis.error_reply(gap)
  end
  return { more, due_ts, now_text, format_int(meta.folded), meta.sources, held_sources, meta.archived, meta.log, meta.watermark }
end
