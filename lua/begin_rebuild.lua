-- Mark a state to be dropped and folded again, if its log holds all that this takes.
-- KEYS: events
-- ARGV: prefix at_will:flag
-- Any process may call it, however late: a state that is whole by then is left alone, unless an operator wants it folded again
-- (`at_will` is 1). Replies how far the rebuild is, 'drop' or 'fold'; '' where the state is whole.
local v = rcall('HMGET', key.meta, 'rebuilding', 'rebuild_from', 'begin', 'done', 'watermark', 'fold_version', 'archive',
  'wiped', 'log')
local phase, source, torn = v[1], v[2], v[3] ~= v[4]
if newer_log(v[6]) then
  return redis.error_reply(newer_log(v[6]))
elseif v[8] then
  return redis.error_reply(wiped_log(v[8], v[9]))
end
if phase and torn then
  phase = 'drop' -- a call of the rebuild was torn: it starts over, instead of going on from there
  rcall('HSET', key.meta, 'rebuilding', phase)
end
if source then
  return phase == 'fold' and phase or redis.error_reply('REBUILDING the state is being rebuilt by `streamsched rebuild --from`:'
    .. ' if that was ended, run it again')
end
local never_folded = not v[5] and not v[3] and folded_up_to() == '0-0'
if not phase and not torn and at_will ~= '1' and (v[5] or never_folded) then
  return ''
end
if rcall('EXISTS', events) == 1 then
  local about = fields_of(rcall('XINFO', 'STREAM', events))
  local missing, first = about['entries-added'] - about.length, about['first-entry']
  if missing > 0 then
    return redis.error_reply('GAP of the ' .. about['entries-added'] .. ' events of the log ' .. missing
      .. ' are not in it now (it begins at ' .. (first and first[1] or 'its end') .. '); rebuild from the archive that holds'
      .. ' them, with `streamsched rebuild --from DIR`.' .. (v[7] and ' They were archived to ' .. v[7] .. '.' or ''))
  end
end
if not phase then
  phase = 'drop'
  -- an operator who wants a log folded that was never folded here, such as a copy, takes its decisions for true ones
  rcall('HSET', key.meta, 'rebuilding', phase, unpack(never_folded and { 'rebuild_until', '+' } or {}))
end
return phase
