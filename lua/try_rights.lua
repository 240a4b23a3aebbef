-- Try each command that a live call may need, on a key of its own: a call that lacks a right half-way would halt the partition.
-- KEYS: events
-- ARGV: prefix
-- Replies the server's refusal, or '' where nothing is missing. Leaves nothing behind.
local own = key.rights
-- each kind of key is empty again at the end of its line, and so is gone
local TRIES = {
  { 'EXISTS', own }, { 'TYPE', own }, { 'TIME' }, { 'UNLINK', own },
  { 'HSET', own, 'a', '1' }, { 'HINCRBY', own, 'a', '1' }, { 'HGET', own, 'a' }, { 'HMGET', own, 'a' }, { 'HGETALL', own },
  { 'HEXISTS', own, 'a' }, { 'PEXPIRE', own, '60000' }, { 'HDEL', own, 'a' },
  { 'SADD', own, 'a' }, { 'SCARD', own }, { 'SISMEMBER', own, 'a' }, { 'SMISMEMBER', own, 'a' }, { 'SRANDMEMBER', own, '1' },
  { 'SREM', own, 'a' },
  { 'ZADD', own, '1', 'a' }, { 'ZCOUNT', own, '0', '1' }, { 'ZRANGE', own, '0', '0' }, { 'ZSCORE', own, 'a' },
  { 'ZRANGEBYSCORE', own, '0', '1', 'LIMIT', '0', '1' }, { 'ZREM', own, 'a' },
  { 'RPUSH', own, 'a' }, { 'LINDEX', own, '0' }, { 'LPOP', own },
  { 'XADD', own, '1-1', 'a', 'b' }, { 'XLEN', own }, { 'XRANGE', own, '-', '+' }, { 'XREAD', 'COUNT', '1', 'STREAMS', own, '0' },
  { 'XGROUP', 'CREATE', own, 'a', '0' }, { 'XGROUP', 'SETID', own, 'a', '0' }, { 'XINFO', 'STREAM', own }, { 'XINFO', 'GROUPS', own },
  { 'DEL', own },
}
local refused = ''
for i = 1, #TRIES do
  local reply = redis.pcall(unpack(TRIES[i]))
  local problem = type(reply) == 'table' and reply.err or ''
  if find(problem, 'failure in script', 1, true) or find(problem, "can't run this command", 1, true) then
    refused = TRIES[i][1] .. ' is not permitted: ' .. problem
    break
  end
end
redis.pcall('UNLINK', own)
return refused
