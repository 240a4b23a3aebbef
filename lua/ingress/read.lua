-- Read one ingress, within the limits of its source.

-- Note that a source went beyond a limit, and how many of its entries were dropped for it.
local function limit_source(sender, cause, dropped)
  local before = tonumber(match(sender.over, cause .. '=(%d+)') or -1)
  local rest = before < 0 and sender.over or gsub(sender.over, cause .. '=%d+ ', '')
  sender.over = rest .. cause .. '=' .. format('%.0f', math.max(before, 0) + dropped) .. ' '
end

-- The copy of an entry in the log: its source is stamped on it, whatever it says itself; and the jobs, sessions and reply
-- streams that a producer names are its own, under its name.
local STAMPS = { source = true, source_id = true, retry_of = true }
local OWNED = { job_id = true, session_id = true, reply_to = true }
local function copy_of(name, role, id, flat, e)
  local copy, scope = {}, name .. '/'
  for i = 1, #flat, 2 do
    local field, value = flat[i], flat[i + 1]
    if not STAMPS[field] then
      if OWNED[field] and role == 'producer' and value ~= '' and value:sub(1, #scope) ~= scope then
        value = scope .. value
      end
      copy[#copy + 1], copy[#copy + 2] = field, value
    end
  end
  if role == 'producer' and e.type == 'job.submitted' and not e.job_id and e.session_id then
    local session = e.session_id:sub(1, #scope) == scope and e.session_id or scope .. e.session_id
    -- its producer knows it by this name, because it knows the id that its own XADD returned
    copy[#copy + 1], copy[#copy + 2] = 'job_id', job_id_of({ session_id = session, request_id = e.request_id }, id)
  end
  copy[#copy + 1], copy[#copy + 2] = 'source', name
  copy[#copy + 1], copy[#copy + 2] = 'source_id', id
  return copy
end

-- What an entry counts against the rate: a registration half a second's worth, because it may touch a thousand indexes.
-- Returns that, and the entry's bytes.
local function weigh(flat, e, sender)
  local weight, bytes = weight_of(flat)
  return e.type == 'node.registered' and math.ceil(sender.rate / 2) or weight, bytes
end

-- Take in one entry that is where it should be.
local function ingest_entry(name, sender, id, flat, beats)
  local e = fields_of(flat)
  local cost, bytes = weigh(flat, e, sender)
  sender.tokens = sender.tokens - cost
  if bytes > sender.size or #flat > 2 * limit.source_fields then
    limit_source(sender, 'size', 1)
    reject_entry(name, id, flat, 'may not send an entry of ' .. bytes .. ' bytes in ' .. #flat / 2 .. ' fields: send at most '
      .. format_int(sender.size) .. ' in ' .. limit.source_fields .. ', or admit it with a larger size')
  elseif not at_or_before(id, sender.last_id) then -- else a call was torn before it could trim
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
    local asked = math.min(taken == 0 and 4 or limit.read, most - taken)
    local entries = rcall('XRANGE', stream, last, '+', 'COUNT', asked)
    for i = 1, #entries do
      local id, flat = entries[i][1], entries[i][2]
      if tonumber(match(id, '^%d+')) > now + limit.ahead_ms then
        ahead = entries[i]
        break
      elseif sender.tokens <= 0 then
        break
      end
      local size
      size, beats = ingest_entry(name, sender, id, flat, beats)
      taken, bytes, last = taken + 1, bytes + size, '(' .. id
    end
    if #entries < asked then
      break
    end
  end
  for i = 1, #beats do
    add_beat(beats[i])
  end
  return taken, ahead
end

-- An id far ahead of the clock, such as the highest there is, leaves no room behind it: the stream starts over, behind what
-- was taken in, so that its owner can go on.
local function reset_stream(name, sender, stream, entry, waiting)
  limit_source(sender, 'id', waiting)
  reject_entry(name, entry[1], entry[2], 'sent an id ahead of the clock: let XADD make it, with *')
  rcall('UNLINK', stream)
  if sender.last_id ~= '0-0' then
    rcall('XADD', stream, sender.last_id, 'type', '')
    rcall('XTRIM', stream, 'MAXLEN', '=', 0)
  end
end
