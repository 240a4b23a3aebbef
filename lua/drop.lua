-- Drop a slice of a partition's state, so that it can be folded anew; the log and what was delivered stay.
-- KEYS: events
-- ARGV: prefix cursor
-- Anybody may call it at any time, from several places at once: it works only while the partition is marked for it, and
-- whoever has walked the whole keyspace with its own cursor ends the phase. Replies the next cursor, or '0'.
local phase = redis.call('HGET', key.meta, 'rebuilding')
if phase ~= 'drop' then
  return '0'
end
local page = redis.call('SCAN', cursor, 'MATCH', prefix .. '*', 'COUNT', 500)
for _, name in ipairs(page[2]) do
  local first = string.match(string.sub(name, #prefix + 1), '^[^:]+')
  if not STREAMS[first] and name ~= key.meta then
    redis.call('UNLINK', name)
  end
end
if page[1] == '0' then
  local beats = redis.call('HGET', key.meta, 'heartbeats_watermark') or '0-0'
  redis.call('DEL', key.meta)
  redis.call('HSET', key.meta, 'rebuilding', 'fold', 'heartbeats_watermark', beats)
end
return page[1]
