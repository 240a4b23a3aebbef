-- Fold entries that the caller gives, instead of those of a stream: the entries of an archive, or of another server's log.
-- KEYS: events dead
-- ARGV: prefix in_place:flag after:entry entries ends:flag
-- `entries` is MessagePack: a list of [id, refused, [field, value, …]]; entries that were folded before are passed over, so
-- a repeated call does no harm; they follow on `after`, and a server that restarted without that refuses them. In place, `ends`
-- says that the rest comes from the log itself. Replies {1, or 0 where another rebuild has finished or started over, watermark,
-- folded}.
return guarded(function()
  local given, refusal = read_entries(entries)
  refusal = refusal or open_replay(in_place == '1' and 'archive' or nil)
  if refusal then
    return redis.error_reply(refusal)
  elseif not meta then
    return { 0, '0-0', '0' }
  end
  if not at_or_before(after, meta.watermark) then
    return redis.error_reply('REBUILDING the server has lost a part of what was restored: run it again')
  end
  for i = 1, #given do
    refusal = not at_or_before(given[i][1], meta.watermark) and replay_entry(given[i][1], given[i][3], given[i][2])
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
