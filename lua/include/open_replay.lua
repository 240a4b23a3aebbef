-- USES: context newer_log
-- Read where a replay stands. In place it goes on only in its own phase of the rebuild. Returns the refusal, or nil;
-- `meta` stays nil where another has finished, or begun anew.
local function open_replay(phase)
  live, burying = false, false
  local v = rcall('HMGET', key.meta, 'watermark', 'folded', 'rebuilding', 'dead_cursor', 'begin', 'done', 'rebuild_until',
    'fold_version', 'overload')
  if phase and v[3] ~= phase then
    return nil
  elseif v[5] ~= v[6] then
    return 'HALTED the replay was torn at ' .. v[5] .. ': start it over'
  elseif newer_log(v[8]) then
    return newer_log(v[8])
  end
  meta = { watermark = v[1] or '0-0', folded = tonumber(v[2] or 0), dead_cursor = v[4] or '0-0', rebuild_until = v[7] or '+',
    fold_version = tonumber(v[8] or 1), overload = {}, shed = {} }
  for cause, since in gmatch(v[9] or '', '(%a+)=(%d+)') do
    meta.overload[cause] = tonumber(since)
  end
  -- in place what had its letter is passed over; what is refused without one was not folded before, as behind a watermark
  -- that was lost: a group's cursor may stand before it
  burying = phase == 'fold'
end
