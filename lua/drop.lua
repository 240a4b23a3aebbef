-- Drop a slice of a partition's state, so that it can be folded anew; the log and what was delivered stay.
-- KEYS: events dead
-- ARGV: prefix cursor
-- USES: context fields_of not_behind folded_up_to count_letter
-- Anybody may call it at any time, from several places at once: it works only while the partition is marked for it, and
-- whoever has walked the whole keyspace with its own cursor ends the phase. Replies the next cursor, or '0'.
if rcall('HGET', key.meta, 'rebuilding') ~= 'drop' then
  return '0'
end
local page = rcall('SCAN', cursor, 'MATCH', prefix .. '*', 'COUNT', 500)
for _, name in ipairs(page[2]) do
  local first = match(name:sub(#prefix + 1), '^[^:]+')
  if not STREAMS[first] and name ~= key.meta then
    rcall('UNLINK', name)
  end
end
if page[1] ~= '0' then
  return page[1]
end
local until_id = folded_up_to()
-- What a torn call had buried before it broke will be judged once more, as new: one letter each is enough.
local letters = rcall('XREVRANGE', dead, '+', '-', 'COUNT', 1000)
for i = 1, #letters do
  local letter = fields_of(letters[i][2])
  if letter.stream == 'events' and not not_behind(letter.id, until_id) then
    count_letter(letter.stream, letter, letter.code, -1)
    rcall('XDEL', dead, letters[i][1])
  end
end
local kept = { 'HSET', key.meta, 'rebuilding', 'fold', 'rebuild_until', until_id }
for _, field in ipairs({ 'heartbeats_watermark', 'archive', 'archived', 'rebuild_from' }) do
  local value = rcall('HGET', key.meta, field)
  if value then
    kept[#kept + 1], kept[#kept + 2] = field, value
    if field == 'rebuild_from' then
      kept[4] = value
    end
  end
end
rcall('DEL', key.meta)
rcall(unpack(kept))
return '0'
