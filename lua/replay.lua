-- Fold a stretch of a log into a state that takes no part in live work: nothing is decided, appended or delivered.
-- KEYS: events dead
-- ARGV: prefix batch in_place
-- USES: context fields_of fold_event buried close_replay guarded
-- `prefix` is where the state goes: the log's own partition, which a rebuild has emptied (`in_place` is 1), or a scratch
-- one. Replies {more, watermark, folded}.
return guarded(function()
  live, left = false, tonumber(batch)
  local v = rcall('HMGET', key.meta, 'watermark', 'folded', 'rebuilding', 'dead_cursor', 'begin', 'done', 'rebuild_until')
  if in_place == '1' and v[3] ~= 'fold' then
    return { 0, v[1] or '0-0', v[2] or '0' } -- another worker has finished, or begun anew
  elseif v[5] ~= v[6] then
    return redis.error_reply('HALTED the replay was torn at ' .. v[5] .. ': start it over')
  end
  meta = { watermark = v[1] or '0-0', folded = tonumber(v[2] or 0), dead_cursor = v[4] or '0-0' }
  local entries = rcall('XRANGE', events, '(' .. meta.watermark, v[7] or '+', 'COUNT', left)
  local skip = #entries > 0 and buried(entries[#entries][1]) or {}
  for i = 1, #entries do
    local id = entries[i][1]
    if skip[id] then
      begin_event('events', id)
      bumps.dead = (bumps.dead or 0) + 1
    else
      fold_event('events', id, fields_of(entries[i][2]), true)
    end
    meta.watermark = id
  end
  meta.folded = meta.folded + #entries
  local more = #entries == left
  close_replay(not more and in_place == '1')
  return { more and 1 or 0, meta.watermark, format('%.0f', meta.folded) }
end)
