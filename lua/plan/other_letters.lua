-- Dead letters that are about no entry of the log, but about a heartbeat or an entry of an ingress. No replay needs them, and
-- no archiver of the log bounds them.

-- Count one of them (by = 1), or one less (by = -1). If a foreign key is in the place of the counts, nothing is counted: that
-- must not stop the log.
local function count_other(flat, by)
  local _, bytes = weight_of(flat)
  redis.pcall('HINCRBY', key.dead_others, 'count', by)
  redis.pcall('HINCRBY', key.dead_others, 'bytes', by * bytes)
end
