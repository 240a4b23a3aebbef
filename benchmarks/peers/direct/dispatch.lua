-- What teams write today: walk the pool, take the online node that holds the fewest jobs, hand the job to it.
-- KEYS: pool (set of node ids); ARGV: job id, payload
local best, fewest
for _, node in ipairs(redis.call('SMEMBERS', KEYS[1])) do
    local state = redis.call('HMGET', 'node:' .. node, 'online', 'jobs')
    local jobs = tonumber(state[2]) or 0
    if state[1] == 'true' and (not fewest or jobs < fewest) then
        best, fewest = node, jobs
    end
end
if not best then
    return redis.error_reply('NO_AVAILABLE_NODE')
end
redis.call('HINCRBY', 'node:' .. best, 'jobs', 1)
redis.call('HSET', 'job:' .. ARGV[1], 'status', 'dispatched', 'node_id', best, 'payload', ARGV[2])
redis.call('XADD', 'inbox:' .. best, '*', 'job_id', ARGV[1], 'payload', ARGV[2])
return best
