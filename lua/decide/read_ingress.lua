-- USES: context append_entry fields_of whole not_behind copy_of bury_entry limit_source
-- What an entry counts against the rate: one, and one more for each few kilobytes; a registration half a second's worth,
-- because it may touch a thousand indexes. Returns that, and the entry's bytes.
local function weigh(flat, e, sender)
  local bytes = 0
  for i = 1, #flat do
    bytes = bytes + #flat[i]
  end
  return e.type == 'node.registered' and math.ceil(sender.rate / 2) or 1 + math.floor(bytes / limit.source_weight), bytes
end

-- Take in one entry that is where it should be.
local function take(name, sender, id, flat, beats)
  local e = fields_of(flat)
  local cost, bytes = weigh(flat, e, sender)
  sender.tokens = sender.tokens - cost
  if bytes > sender.size or #flat > 2 * limit.source_fields then
    limit_source(sender, 'size', 1)
    bury_entry(name, id, flat, 'may not send an entry of ' .. bytes .. ' bytes in ' .. #flat / 2 .. ' fields: send at most '
      .. whole(sender.size) .. ' in ' .. limit.source_fields .. ', or admit it with a larger size')
  elseif not not_behind(id, sender.last_id) then -- else a call was torn before it could trim
    local copy = copy_of(name, sender.role, id, flat, e)
    if e.type == 'node.heartbeat' and not e.request_id then
      beats[#beats + 1] = copy
    else
      append_entry(copy, false)
    end
  end
  -- a beat from before the goodbye says nothing about now
  return bytes, e.type == 'node.offline' and {} or beats
end

-- Read a source's ingress from its start, at most so many entries, while its rate allows. Returns how many were read, and
-- the entry that stands ahead of the clock, if one does.
local function read_ingress(name, sender, stream, most)
  local taken, bytes, last, beats, ahead = 0, 0, '-', {}, nil
  while taken < most and bytes < limit.payload and sender.tokens > 0 and not ahead do
    local asked = math.min(taken == 0 and 4 or 32, most - taken) -- any of them may be large
    local entries = rcall('XRANGE', stream, last, '+', 'COUNT', asked)
    for i = 1, #entries do
      local id, flat, size = entries[i][1], entries[i][2], 0
      if tonumber(match(id, '^%d+')) > now + limit.ahead_ms then
        ahead = entries[i]
        break
      elseif sender.tokens <= 0 then
        break
      end
      size, beats = take(name, sender, id, flat, beats)
      taken, bytes, last = taken + 1, bytes + size, '(' .. id
    end
    if #entries < asked then
      break
    end
  end
  for i = 1, #beats do
    rcall('XADD', heartbeats, 'MAXLEN', '~', limit.heartbeats, '*', unpack(beats[i]))
  end
  return taken, ahead
end
