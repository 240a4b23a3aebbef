-- KEYS: none; ARGV: job id, node id, result, where to tell it (empty: nowhere)
if redis.call('HGET', 'job:' .. ARGV[1], 'node_id') ~= ARGV[2] then
    return redis.error_reply('NODE_MISMATCH')
end
redis.call('HSET', 'job:' .. ARGV[1], 'status', 'finished', 'result', ARGV[3])
redis.call('HINCRBY', 'node:' .. ARGV[2], 'jobs', -1)
redis.call('EXPIRE', 'job:' .. ARGV[1], 3600)
if ARGV[4] ~= '' then
    redis.call('RPUSH', ARGV[4], ARGV[3])
    redis.call('EXPIRE', ARGV[4], 60)
end
return 1
