-- A node: whether it is there, the jobs in its hands, and how many more it may be given.

-- The liveness of a registered node, and since when nothing older says anything about it: since it came, went or said that
-- it goes. Also the room that it last said, with the time. An unknown node is refused.
local function known_node(node_id)
  local v = rcall('HMGET', flush(key.node_info(node_id)), 'online', 'accepting', 'full_at', 'since_ts', 'left_ts', 'room', 'room_ts')
  if not v[1] then
    refuse_event('UNKNOWN_NODE', 'node_id ' .. node_id .. ' has never registered, or was retired: append node.registered first')
  end
  return v[1], v[2], v[3], math.max(tonumber(v[4]), tonumber(v[5] or 0)), v[6], tonumber(v[7] or 0)
end

-- A node is not in trouble any more: a beat says nothing of it, it has registered, or it is gone.
local in_trouble = {} -- by node: whether its last beat said so; fold_beats asks for those whose beats it reads
local function forget_trouble(node_id)
  in_trouble[node_id] = false
  plan_write('HDEL', key.node_info(node_id), 'trouble')
  plan_write('SREM', key.troubled, node_id)
end

-- How long after its last heartbeat an online node is looked at again, in ms: with a timeout of 0 no silence is too long.
local function silence_ms()
  local timeout = config('heartbeat_timeout_ms')
  return timeout > 0 and timeout or limit.never_ms
end

-- What a node said or showed of its size holds no more: another process may be the node now.
local function forget_room(node_id)
  rooms[node_id] = nil
  plan_write('HDEL', flush(key.node_info(node_id)), 'full_at', 'room', 'room_ts')
end

-- Apply what is now known of a node's presence. Every event that says "I accept" also doubles the learnt bound: a node
-- that was full is asked again, but not flooded again.
local function set_liveness(node_id, online, accepting, was_online, full_at, room)
  local info = key.node_info(node_id)
  if online ~= was_online then
    plan_write('HSET', info, 'online', online, 'since_ts', at_text)
    if online == 'true' then
      accepting = accepting or 'true' -- it is not bound by what it said before it went
      plan_write('SADD', key.online, node_id)
      forget_room(node_id)
      plan_write('SREM', key.lost, node_id) -- it is back with its jobs, before they were given to others
      plan_write('ZADD', key.expiry, note_due(format_int(at + silence_ms())), node_id)
      plan_write('ZREM', key.gone, 'node ' .. node_id)
    else
      plan_write('SREM', key.online, node_id)
      plan_write('ZREM', key.expiry, node_id)
      plan_write('ZADD', key.gone, at_text, 'node ' .. node_id)
      forget_trouble(node_id)
    end
  elseif accepting == 'true' and full_at then
    plan_write('HSET', info, 'full_at', format_int(tonumber(full_at) * 2 + 1))
  end
  if accepting then
    plan_write('HSET', info, 'accepting', accepting)
  end
  if room then
    plan_write('HSET', info, 'room', room, 'room_ts', at_text)
    plan_write('HDEL', info, 'full_at')
  end
  mark_dirty('node', node_id)
end

-- Note what a beat changed, for the tail to decide on.
local presence_reports = {}
local known_online = false -- whether the node of the beat being folded is known to be online; fold_beats asks for all of them
local function note_presence(node_id, online, accepting, room)
  presence_reports[#presence_reports + 1] = { node_id, online, accepting, room }
end

-- How many jobs a node holds, read once: every change goes through hold().
local held = {}
local function held_by(node_id)
  if not held[node_id] then
    held[node_id] = rcall('SCARD', flush(key.node_jobs(node_id)))
  end
  return held[node_id]
end

-- Put a job into a node's hands (by = 1), or take it from them (by = -1).
local function hold(node_id, job_id, by)
  plan_member(by == 1 and 'SADD' or 'SREM', key.node_jobs(node_id), job_id)
  if held[node_id] then
    held[node_id] = held[node_id] + by
  end
end

-- How many assignments a node has in flight, which it has not begun, and how many it may have: as many as it said that it has room
-- for, or the window that it has earned where it says nothing. Read once and kept until the node is marked dirty. A function
-- that changes it writes it, too. A fold asks before it marks.
local function room_of(node_id)
  local room = rooms[node_id]
  if not room then
    local v = rcall('HMGET', flush(key.node_info(node_id)), 'pending', 'window', 'full_at', 'open', 'mailbox', 'room', 'speed', 'samples',
      'learned_ts')
    room = { pending = tonumber(v[1]), window = tonumber(v[2]), full_at = v[3], open = v[4] == 'true', mailbox = v[5] or node_id,
      said = tonumber(v[6]), speed = tonumber(v[7] or 1024), samples = tonumber(v[8] or 0), learned_ts = tonumber(v[9]) }
    rooms[node_id] = room
  end
  return room
end

-- Count `by` assignments in flight more, and room for so many more. Between two words of a node the scheduler counts for it: a job
-- that begins takes a place, and one that ends gives it back.
local function count_in_flight(node_id, by, room_by)
  local room, info = room_of(node_id), key.node_info(node_id)
  if by ~= 0 then
    room.pending = room.pending + by
    plan_member('HSET', info, 'pending', format_int(room.pending))
  end
  if room.said and room_by ~= 0 then
    room.said = room.said + room_by
    plan_member('HSET', info, 'room', format_int(room.said))
  end
  if (room.pending < math.min(room.said or room.window, limit.window)) ~= room.open then
    mark_node_dirty(node_id)
  end
end

-- A node says how many assignments it would take now, beside those that it has begun: it knows better than what was learnt of it.
local function say_room(node_id, said)
  local room, info = room_of(node_id), key.node_info(node_id)
  if room.full_at then
    room.full_at = false
    plan_write('HDEL', info, 'full_at')
    mark_node_dirty(node_id)
  end
  if room.said_ts ~= at_text then -- often many jobs end in one millisecond
    room.said_ts = at_text
    plan_member('HSET', info, 'room_ts', at_text)
  end
  if not room.said then
    room.said = 0
    plan_member('HSET', info, 'room', '0')
    mark_node_dirty(node_id) -- it is ranked by its speed now
  end
  count_in_flight(node_id, 0, tonumber(said) - room.said)
end

-- A node begins a job. A node that has begun all it was given is trusted with twice as many assignments in flight.
local function start_in_flight(node_id)
  count_in_flight(node_id, -1, -1)
  local room = room_of(node_id)
  if room.pending == 0 and room.window < limit.window then
    room.window = room.window * 2
    plan_member('HSET', key.node_info(node_id), 'window', format_int(room.window))
  end
end
