-- Nodes that came, went, or are silent.

-- Record what the beats just read have changed: a node that came, went, paused or took up work again.
local function report_nodes()
  for i = 1, #presence_reports do
    local report = presence_reports[i]
    local node_id, online, accepting, room = report[1], report[2], report[3], report[4]
    local was_online, was_accepting, full_at, _, known_room = known_node(node_id)
    local said = room and { 'room', room } or {}
    -- looked at again, because an earlier beat of the same call may already have said it
    if online ~= was_online then
      if online == 'true' then
        decide('node.recovered', 'node_id', node_id, 'accepting', accepting or 'true', unpack(said))
      else
        decide('node.reported', 'node_id', node_id, 'online', 'false', 'accepting', accepting or was_accepting)
      end
    elseif accepting and accepting ~= was_accepting or room and room ~= known_room or accepting == 'true' and full_at
      and rcall('HGET', key.node_info(node_id), 'open') == 'false' then
      decide('node.reported', 'node_id', node_id, 'online', online, 'accepting', accepting or was_accepting, unpack(said))
    end
  end
  presence_reports = {}
end

-- Find the online nodes that have been silent for too long. A beat moves no timer, which keeps it cheap: a node that comes
-- up here with a younger beat is simply looked at again later. After an absence of the scheduler, or a rebuild, the silence
-- counts from its return.
local function expire_nodes()
  if left <= 0 then
    return
  end
  local never = config('heartbeat_timeout_ms') == 0
  local due = rcall('ZRANGEBYSCORE', key.expiry, '-inf', now_text, 'LIMIT', '0', left)
  for i = 1, #due do
    local v = rcall('HMGET', key.node_info(due[i]), 'last_heartbeat_ts', 'since_ts')
    local seen_ts = math.max(tonumber(v[1] or 0), tonumber(v[2]), meta.resumed_ts, meta.rebuilt_ts)
    if never or seen_ts + silence_ms() > now then
      raise_fence(meta.watermark)
      rcall('ZADD', key.expiry, format_int((never and now or seen_ts) + silence_ms()), due[i])
      left = left - 1
    else
      decide('node.expired', 'node_id', due[i], 'last_heartbeat_ts', v[1] or '0')
    end
  end
end
