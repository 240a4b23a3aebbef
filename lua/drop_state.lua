-- Drop a slice of a partition's state, so that it can be folded again; the log and what was delivered stay.
-- KEYS: events dead
-- ARGV: prefix cursor:number
-- Any process may call it at any time, from several places at once: it works only while the partition is marked for it, and
-- the process that has walked the whole keyspace with its own cursor ends the phase. Replies the next cursor, or '0'.
local KEPT = { rebuilding = true, rebuild_until = true, rebuild_from = true, heartbeats_watermark = true, archive = true,
  archived = true, archiver = true, log = true, lost = true, forgotten = true, carried_after = true, evicted_keys = true,
  evicts = true, adopted = true }
if rcall('HGET', key.meta, 'rebuilding') ~= 'drop' then
  return '0'
end
local dropped, bytes = 0, 0
repeat
  local page = rcall('SCAN', cursor, 'MATCH', prefix .. '*', 'COUNT', '16')
  for _, name in ipairs(page[2]) do
    local first = match(name:sub(#prefix + 1), '^[^:]+')
    if not STREAMS[first] and name ~= key.meta then
      if first == 'job' then -- UNLINK frees a hash of so few fields at once, and a megabyte takes most of a millisecond
        for _, field in ipairs({ 'payload_json', 'result_json' }) do
          local length = redis.pcall('HSTRLEN', name, field) -- a foreign hand may have left another type
          bytes = bytes + (type(length) == 'number' and length or 0)
        end
      end
      rcall('UNLINK', name)
      dropped = dropped + 1
    end
  end
  cursor = page[1]
until cursor == '0' or dropped >= 500 or bytes >= limit.dropped
if cursor ~= '0' then
  return cursor
end
-- What is known of the state before the damage: a rebuild that starts over half-way still means that one. It is written first,
-- and the phase last, so that a call torn in between is simply made again.
local until_id = rcall('HGET', key.meta, 'rebuild_until') or folded_up_to()
rcall('HSET', key.meta, 'rebuild_until', until_id)
-- Events that a torn call had refused before it broke will be judged once more, as new: one letter each is enough. Heartbeats
-- that are not in their stream any more will not.
local judged = { events = until_id, heartbeats = rcall('HGET', key.meta, 'heartbeats_watermark') or '0-0' }
local letters = rcall('XREVRANGE', dead, '+', '-', 'COUNT', 1000)
for i = 1, #letters do
  local letter = fields_of(letters[i][2])
  local bound = judged[letter.stream]
  local again = bound and not at_or_before(letter.id, bound)
  if again and (letter.stream == 'events' or #rcall('XRANGE', key.heartbeats, letter.id, letter.id) == 1) then
    count_letter(key.dead_codes, letter.stream, letter, letter, -1)
    if letter.stream ~= 'events' then
      discount_letter(letters[i][2])
    end
    rcall('XDEL', dead, letters[i][1])
  end
end
rcall('UNLINK', key.dead_ordered, key.dead_ordered_codes) -- of a replay that is to start over
for _, name in ipairs(rcall('HKEYS', key.meta)) do
  if not KEPT[name] then
    rcall('HDEL', key.meta, name)
  end
end
rcall('HSET', key.meta, 'rebuilding', rcall('HGET', key.meta, 'rebuild_from') or 'fold')
return '0'
