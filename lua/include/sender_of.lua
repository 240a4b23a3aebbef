-- USES: context
-- What is known of a source, read once a call and kept up to date by whoever changes it; false for one that was never
-- admitted, and whose name therefore means nothing.
local senders = {}
local function sender_of(name)
  local sender = senders[name]
  if sender == nil then
    local v = rcall('HMGET', key.source(name), 'role', 'node_id', 'revoked', 'rate', 'size', 'backlog', 'priority', 'last_id',
      'tokens', 'tokens_ts', 'over', 'told_ts', 'foreign')
    sender = v[1] and {
      role = v[1], node_id = v[2], revoked = v[3] == 'true', rate = tonumber(v[4]), size = tonumber(v[5]),
      backlog = tonumber(v[6]), priority = tonumber(v[7]), last_id = v[8], tokens = v[9], tokens_ts = v[10], over = v[11] or '',
      told_ts = tonumber(v[12] or 0), foreign = v[13] == 'true',
    }
    senders[name] = sender
  end
  return sender
end

-- Who speaks in an event that was taken in from a source; nil where nobody stands between it and the log.
local function sender_in(e)
  local id = e.source_id
  if e.source and id and #id <= 41 and find(id, '^%d+%-%d+$') and not find(id, '^0%d') and not find(id, '%-0%d') then
    return sender_of(e.source) or nil
  end
end
