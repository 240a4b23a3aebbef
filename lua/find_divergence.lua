-- Find the first event that a log holds otherwise than an archive, or that only one of them holds.
-- KEYS: events
-- ARGV: prefix entries after:entry
-- `entries` is MessagePack: a list of [id, refused, [field, value, …]], the archive's right behind `after`. Replies its id,
-- or '' where both are alike up to the last of the list. A script compares them, because a client may not leave bytes alone.
local given, refusal = read_entries(entries)
if refusal then
  return redis.error_reply(refusal)
end
local stored = rcall('XRANGE', events, '(' .. after, given[#given][1], 'COUNT', #given + 1)
for i = 1, math.max(#given, #stored) do
  local mine, other = given[i], stored[i]
  if not (mine and other) then
    return (mine or other)[1]
  elseif mine[1] ~= other[1] then
    return at_or_before(mine[1], other[1]) and mine[1] or other[1]
  end
  local same = #mine[3] == #other[2]
  for n = 1, #mine[3] do
    same = same and mine[3][n] == other[2][n]
  end
  if not same then
    return mine[1]
  end
end
return ''
