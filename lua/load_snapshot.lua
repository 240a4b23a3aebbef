-- Put a page of a snapshot in place, under a prefix that holds no state.
-- KEYS: events
-- ARGV: prefix page number:number
-- `page` is MessagePack: a list of [key, kind, start, [argument, …]]. A slice of a list goes on where the list ends, or
-- was there before: SCAN may have named its key twice when the snapshot was made. `number` counts the pages from 0 on: a
-- server that restarted without its last ones refuses the next.
local COMMAND = { hash = 'HSET', set = 'SADD', zset = 'ZADD', list = 'RPUSH' }
local WIDTH = 4000 -- arguments of one call: unpack puts them on the stack
local v = rcall('HMGET', key.meta, 'last_call_ts', 'rebuilding', 'loaded')
if v[1] and not v[2] then
  return redis.error_reply('SCRATCH_IS_LIVE the keys under ' .. prefix .. ' are those of a live partition: load it elsewhere')
end
local loaded = tonumber(v[3] or 0)
number = tonumber(number)
if loaded ~= number and loaded ~= number + 1 then -- which is sent again, because its reply was lost
  return redis.error_reply('REBUILDING the server has lost a part of what was restored: run it again')
end
rcall('HSET', key.meta, 'loaded', number + 1)
for _, row in ipairs(cmsgpack.unpack(page)) do
  local name, kind, start, given = prefix .. row[1], row[2], row[3], row[4]
  if kind ~= 'list' or rcall('LLEN', name) == start then
    for from = 1, #given, WIDTH do
      rcall(COMMAND[kind], name, unpack(given, from, math.min(from + WIDTH - 1, #given)))
    end
  end
end
return 'OK'
