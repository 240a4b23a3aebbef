-- Dead letters that are about no entry of the log, but about a heartbeat or an entry of an ingress. No replay needs them, and
-- no archiver of the log bounds them.

-- One of them goes, which write_dead_letter had counted. A foreign key in the place of the counts must not stop the call.
local function discount_letter(flat)
  local _, bytes = weight_of(flat)
  redis.pcall('HINCRBY', key.dead_others, 'count', -1)
  redis.pcall('HINCRBY', key.dead_others, 'bytes', -bytes)
end
