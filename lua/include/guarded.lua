-- USES: context effect
-- Whether a call met something else under a key of the state, and not in the place of the log or a stream beside it.
local function is_foreign(reason)
  if not live or not meta or not find(reason, 'WRONGTYPE', 1, true) or rcall('TYPE', events).ok ~= 'stream' then
    return false
  end
  local beats, letters = rcall('TYPE', key.heartbeats).ok, rcall('TYPE', key.dead).ok
  return (beats == 'stream' or beats == 'none') and (letters == 'stream' or letters == 'none')
end

-- Run a call. Where it breaks before its first write, nothing has happened and the error is handed on; where it breaks
-- behind it, or where the state itself was found damaged, the fence stays up and the partition halts.
local function guarded(body)
  local done, reply = pcall(body)
  if done then
    return reply
  end
  local reason = type(reply) == 'table' and (reply.halt or reply.err) or tostring(reply)
  if fence or (type(reply) == 'table' and reply.halt) or is_foreign(reason) then
    write_to(redis.REPL_ALL) -- it may have broken in a delivery
    rcall('HSET', key.meta, 'begin', folding, 'done', 'torn', 'halted', reason)
    return redis.error_reply('HALTED ' .. reason)
  end
  return redis.error_reply(reason)
end
