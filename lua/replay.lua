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
  read_letters(meta.watermark, true) -- of the archive, all of them are in front
  pass_letters(meta.watermark)
  local asked, slice
  while left > 0 and not (slice and #slice < asked) do
    asked = math.min(left, limit.read)
    slice = rcall('XRANGE', events, '(' .. meta.watermark, meta.rebuild_until, 'COUNT', asked)
    local taken = take(slice)
    if taken > 0 then
      read_letters(slice[taken][1])
    end
    for i = 1, taken do
      refusal = replay_entry(slice[i][1], slice[i][2], refused_before[slice[i][1]])
      if refusal then
        close_replay(false)
        return redis.error_reply(refusal)
      end
    end
  end
  local more = left <= 0
  close_replay(not more and in_place == '1')
  return { more and 1 or 0, meta.watermark, format('%.0f', meta.folded) }
end)
