-- The fence of a call, and what happens to a call that breaks.

-- The first write of every call. A script cannot be rolled back: if this mark stands without its twin `done`, the call
-- was torn in between, and the partition is rebuilt from its log. So it is never the mark of the call before.
-- HSET is refused on a full or read-only server: such a server stops the call before anything has changed.
local function raise_fence(id)
  if not fence then
    fence = id == meta.done and id .. '\'' or id
    rcall('HSET', key.meta, 'begin', fence)
  end
end

-- Stop the partition: the event is not the cause of what was found, and to go on would make it worse.
local function halt(reason)
  error({ halt = reason }, 0)
end

-- Whether a call met a foreign key in the place of a key of the state. In the place of the log, the heartbeats or the dead
-- letters a rebuild could not mend it.
local function is_foreign(reason)
  if not live or not meta or not find(reason, 'WRONGTYPE', 1, true) or rcall('TYPE', events).ok ~= 'stream' then
    return false
  end
  local beats, letters = rcall('TYPE', key.heartbeats).ok, rcall('TYPE', key.dead).ok
  return (beats == 'stream' or beats == 'none') and (letters == 'stream' or letters == 'none')
end

-- Run a call. Where it breaks before its first write, nothing has happened and the error is passed on. Where it breaks
-- after that, or where the state itself was found damaged, the fence stays up and the partition halts. The sender of
-- a call that broke for another reason than a foreign or an evicted key learns that it was this call, so that it does not send
-- it again.
local function guarded(body)
  local done, reply = pcall(body)
  if done then
    return reply
  end
  if type(reply) == 'table' and reply.code then
    return redis.error_reply(reply.code .. ' ' .. reply.detail)
  end
  local reason = type(reply) == 'table' and (reply.halt or reply.err) or tostring(reply)
  if fence or (type(reply) == 'table' and reply.halt) or is_foreign(reason) then
    rcall('HSET', key.meta, 'begin', folding, 'done', 'torn', 'halted', reason)
    local innocent = type(reply) == 'table' and reply.evicted or find(reason, 'WRONGTYPE', 1, true)
    return redis.error_reply('HALTED ' .. (innocent and '' or 'this call broke: ') .. reason)
  end
  return redis.error_reply(reason)
end
