-- Ask for each command that a live call may need whether this user may run it: a call that lacked one half-way would halt the
-- partition. Nothing is run.
-- KEYS: events
-- ARGV: prefix
-- Replies the first command that cannot be run, or '', and 1, or 0 if the server does not have it: a managed service may have
-- disabled it. A double of a server has no rights to ask for.
local of = key.meta
local NEEDED = {
  { 'EXISTS', of }, { 'TYPE', of }, { 'TIME' }, { 'DEL', of }, { 'UNLINK', of }, { 'PEXPIRE', of, '60000' },
  { 'PERSIST', of },
  { 'HSET', of, 'a', '1' }, { 'HINCRBY', of, 'a', '1' }, { 'HGET', of, 'a' }, { 'HMGET', of, 'a' }, { 'HGETALL', of },
  { 'HEXISTS', of, 'a' }, { 'HDEL', of, 'a' },
  { 'SADD', of, 'a' }, { 'SCARD', of }, { 'SISMEMBER', of, 'a' }, { 'SMISMEMBER', of, 'a' }, { 'SRANDMEMBER', of, '1' },
  { 'SREM', of, 'a' },
  { 'ZADD', of, '1', 'a' }, { 'ZCOUNT', of, '0', '1' }, { 'ZRANGE', of, '0', '0' }, { 'ZSCORE', of, 'a' }, { 'ZREM', of, 'a' },
  { 'ZRANGEBYSCORE', of, '0', '1', 'LIMIT', '0', '1' },
  { 'RPUSH', of, 'a' }, { 'LINDEX', of, '0' }, { 'LRANGE', of, '0', '0' }, { 'LPOP', of },
  { 'XADD', of, '1-1', 'a', 'b' }, { 'XLEN', of }, { 'XRANGE', of, '-', '+' }, { 'XREAD', 'COUNT', '1', 'STREAMS', of, '0' },
  { 'XGROUP', 'CREATE', of, 'a', '0' }, { 'XGROUP', 'SETID', of, 'a', '0' }, { 'XINFO', 'STREAM', of }, { 'XINFO', 'GROUPS', of },
}
for i = 1, redis.acl_check_cmd and #NEEDED or 0 do
  local known, permitted = pcall(redis.acl_check_cmd, unpack(NEEDED[i]))
  if not (known and permitted) then
    return { NEEDED[i][1], known and 1 or 0 }
  end
end
return { '', 1 }
