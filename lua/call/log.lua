-- The log: its entries are folded, its end is compared with what was folded, and decisions are appended to it.

-- Fold what the log holds behind the watermark, as far as this call may go. Returns true at the tail.
local function fold_log()
  local asked = math.min(left, 4)
  -- Nothing is read from the other two streams: a foreign key in the place of one is met here, before anything is written.
  local reply = rcall('XREAD', 'COUNT', asked, 'STREAMS', events, heartbeats, dead, meta.watermark, '$', '$') or {}
  local slice = reply[1] and reply[1][2] or {}
  while true do
    local taken = take(slice)
    for i = 1, taken do
      local id = slice[i][1]
      fold_event('events', id, slice[i][2], fields_of(slice[i][2]), false)
      meta.watermark, moved = id, true
    end
    meta.folded = meta.folded + taken
    if left <= 0 then
      return false
    elseif #slice < asked then
      return true
    end
    asked = math.min(left, limit.read)
    slice = rcall('XRANGE', events, '(' .. meta.watermark, '+', 'COUNT', asked)
  end
end

-- At the tail the log must have taken in exactly as many entries as were folded. Other entries were trimmed, deleted or
-- lost before they were folded, and nothing may be decided on such a state. Also learns the log's last id. Returns the
-- trouble, or nil.
local function find_gap()
  local added, last = 0, '0-0'
  local about = redis.pcall('XINFO', 'STREAM', events)
  if not about.err then -- there is a log
    for i = 1, #about, 2 do
      if about[i] == 'entries-added' then
        added = about[i + 1]
      elseif about[i] == 'last-generated-id' then
        last = about[i + 1]
      end
    end
  end
  if added ~= meta.folded then
    return 'GAP the log took in ' .. added .. ' entries, ' .. format('%.0f', meta.folded) .. ' were folded (watermark '
      .. meta.watermark .. '): entries were trimmed or deleted unread, or the log was replaced; restore it, then rebuild'
  end
  local ms, seq = match(last, '^(%d+)-(%d+)$')
  if #ms > 15 then
    return 'GAP the log ends at the id ' .. last .. ', beyond any clock: nothing can be appended behind it; restore the log'
      .. ' from its archive, then rebuild'
  end
  last_ms, last_seq = tonumber(ms), tonumber(seq)
  if #seq > 15 then -- more than a double counts on from
    ms, last_ms, last_seq = format_int(last_ms + 1), last_ms + 1, -1
  end
  if now < last_ms then
    skew = skew + last_ms - now
    now, now_text = last_ms, ms
  end
end

-- Append an entry behind the tail at this call's time, and fold it at once. Returns its id, and the problem if refused.
local function append_entry(flat, decided)
  if now > last_ms then
    last_ms, last_seq = now, 0
  else
    last_seq = last_seq + 1
  end
  local id = format_int(last_ms) .. '-' .. format_int(last_seq)
  raise_fence(id)
  rcall('XADD', events, id, unpack(flat))
  local problem = fold_event('events', id, flat, fields_of(flat), decided)
  meta.watermark, moved = id, true
  meta.folded = meta.folded + 1
  left = left - 1
  return id, problem
end

-- Record a decision as a fact, let it take effect, and bring in line what the next decision reads.
local function decide(...)
  append_entry({ 'type', ... }, true)
  reindex_nodes_and_pools()
end
