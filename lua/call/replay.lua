-- A replay: events are folded as they were folded when they were new.

-- Read where a replay stands. In place it goes on only in its own phase of the rebuild; into another place it never folds
-- into a state that live calls work on. Returns the refusal, or nil; `meta` stays nil where another rebuild has finished, or
-- begun again.
local function open_replay(phase)
  live, writes_letters = false, false
  local v = rcall('HMGET', key.meta, 'watermark', 'folded', 'rebuilding', 'dead_cursor', 'begin', 'done', 'rebuild_until',
    'fold_version', 'overload', 'last_call_ts', 'carried_after', 'log')
  if phase and v[3] ~= phase then
    return nil
  elseif not phase and v[10] then
    return 'SCRATCH_IS_LIVE the keys under ' .. prefix .. ' are those of a live partition: replay into another namespace'
  elseif v[5] ~= v[6] then
    return 'HALTED the replay was torn at ' .. v[5] .. ': start it over'
  elseif newer_log(v[8]) then
    return newer_log(v[8])
  end
  meta = { log = v[12] or '0-0', watermark = v[1] or '0-0', folded = tonumber(v[2] or 0), dead_cursor = v[4] or '0-0',
    rebuild_until = v[7] or '+', fold_version = tonumber(v[8] or 1), overload = overload_of(v[9]), shed = {}, carried_after = v[11] }
  -- In place, an event that has its letter is passed over; one that is refused without a letter was not folded before, as
  -- behind a watermark that was lost: a group's cursor may stand before it.
  local carries = phase == 'fold' and meta.carried_after ~= false
  writes_letters = phase == 'fold' and not carries
  open_letters(carries)
end

-- Whether a replay believes an entry, as a decision that was made on the state before it. Events of a new log that are kept
-- behind restored ones (`carried_after`) were decided without these: of a job that was submitted before, they knew nothing.
local function is_believed(id, e)
  if not meta.carried_after or not e.job_id or at_or_before(id, meta.carried_after) then
    return true
  end
  local submitted = rcall('HGET', flush(key.job(e.job_id)), 'submit_id')
  return submitted and not at_or_before(submitted, meta.carried_after)
end

-- Fold an entry as it was folded when it was new; a refused one lets time pass, and nothing else. Returns the refusal where
-- a newer program took over: the entries before it are folded, it and those behind it are not.
local function replay_entry(id, flat, was_refused)
  local e = fields_of(flat)
  raise_fence(id)
  if e.type == 'scheduler.upgraded' and not was_refused and newer_log(e.fold_version) then
    return newer_log(e.fold_version)
  elseif was_refused then
    enter_event('events', id)
    bump_now('dead', 1)
    if e.source_id then
      note_source_position(e)
    end
  else
    local problem = fold_event('events', id, flat, e, is_believed(id, e))
    if problem and reordered then
      write_letter_between(id, e, problem)
    end
  end
  meta.watermark, meta.folded = id, meta.folded + 1
end

-- Write down how far the replay came. Where it has rebuilt the live state in full, hand the partition back: from here on
-- every node that was online has a full timeout to show itself.
local function close_replay(rebuilt)
  pass_letters(meta.watermark)
  reindex()
  flush_all()
  write_counters()
  rcall('HSET', key.meta, 'watermark', meta.watermark, 'folded', format_int(meta.folded), 'dead_cursor', meta.dead_cursor)
  rcall('HDEL', key.meta, 'begin', 'done')
  if rebuilt then
    if reordered then
      close_letters()
    end
    local back_ts = clock_ms()
    rcall('HDEL', key.meta, 'rebuilding', 'rebuild_until', 'rebuild_from', 'dead_cursor', 'carried_after', 'adopted',
      'loaded')
    rcall('HSET', key.meta, 'rebuilt_ts', format_int(math.max(back_ts, tonumber(match(meta.watermark, '^%d+')))))
    move_group(events, meta.watermark, { 'ENTRIESREAD', format_int(meta.folded) })
  end
end
