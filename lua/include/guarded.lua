-- USES: context
-- Run a call. Where it breaks before its first write, nothing has happened and the error is handed on; where it breaks
-- behind it, or where a fold found the state itself damaged, the fence stays up and the partition halts.
local function guarded(body)
  local done, reply = pcall(body)
  if done then
    return reply
  end
  local reason = type(reply) == 'table' and (reply.halt or reply.err) or tostring(reply)
  if fence or (type(reply) == 'table' and reply.halt) then
    rcall('HSET', key.meta, 'begin', folding, 'done', 'torn', 'halted', reason)
    return redis.error_reply('HALTED ' .. reason)
  end
  return redis.error_reply(reason)
end
