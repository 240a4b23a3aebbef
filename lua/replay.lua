-- Fold a slice of a log into a state that takes no part in live work: nothing is decided, appended or delivered.
-- KEYS: events dead
-- ARGV: prefix batch:count in_place:flag
-- `prefix` is where the state goes: the log's own partition, which a rebuild has emptied (`in_place` is 1), or a scratch
-- one. Replies {more, watermark, folded}.
return guarded(function()
  left = tonumber(batch)
  local refusal = open_replay(in_place == '1' and 'fold' or nil)
  if refusal then
    return redis.error_reply(refusal)
  elseif not meta then
    return { 0, '0-0', '0' }
  end
  repeat
    local asked = math.min(left, limit.read)
    local slice = rcall('XRANGE', events, '(' .. meta.watermark, meta.rebuild_until, 'COUNT', asked)
    local taken = take(slice)
    local refused = taken > 0 and refused_ids(slice[taken][1]) or {}
    for i = 1, taken do
      refusal = replay_entry(slice[i][1], slice[i][2], refused[slice[i][1]])
      if refusal then
        close_replay(false)
        return redis.error_reply(refusal)
      end
    end
  until left <= 0 or #slice < asked
  local more = left <= 0
  close_replay(not more and in_place == '1')
  return { more and 1 or 0, meta.watermark, format('%.0f', meta.folded) }
end)
