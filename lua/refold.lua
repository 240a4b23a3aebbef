-- Fold entries that are handed in, instead of read from a stream: what an archive holds, or the log of another server.
-- KEYS: events
-- ARGV: prefix in_place entries ends
-- USES: context open_replay replay_entry close_replay guarded not_behind
-- `entries` is MessagePack: a list of [id, refused, [field, value, …]]; those that were folded before are passed over, so
-- a repeated call does no harm. In place, `ends` says that the rest comes from the log itself. Replies {1 or 0 where another has finished or begun anew, watermark, folded}.
return guarded(function()
  local refusal = open_replay(in_place == '1' and 'archive' or nil)
  if refusal then
    return redis.error_reply(refusal)
  elseif not meta then
    return { 0, '0-0', '0' }
  end
  local given = cmsgpack.unpack(entries)
  for i = 1, #given do
    refusal = not not_behind(given[i][1], meta.watermark) and replay_entry(given[i][1], given[i][3], given[i][2])
    if refusal then
      close_replay(false)
      return redis.error_reply(refusal)
    end
  end
  close_replay(false)
  if ends == '1' then
    rcall('HSET', key.meta, 'rebuilding', 'fold')
  end
  return { 1, meta.watermark, format('%.0f', meta.folded) }
end)
