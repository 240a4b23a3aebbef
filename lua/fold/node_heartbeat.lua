-- A node is alive. On the heartbeat stream the beat changes only soft fields; what changes with it (the node came online, left,
-- stopped accepting) is decided at the tail and recorded as a fact. On the log the beat is that fact itself.
-- FIELDS: node_id:id online:flag load_json?:json accepting?:flag room?:room trouble?:text incarnation?:id request_id?:id
-- ONCE: node_id
local info = key.node_info(node_id)
if incarnation then
  local present = rcall('HGET', info, 'incarnation')
  if present and present ~= incarnation then
    refuse_event('NODE_SUPERSEDED', 'node_id ' .. node_id .. ' is now the process with incarnation ' .. present
      .. ', which registered later: stop this one, or give it an id of its own')
  end
end
if load_json then
  plan_write('HSET', info, 'last_heartbeat_ts', at_text, 'load_json', load_json)
else
  plan_write('HSET', info, 'last_heartbeat_ts', at_text)
end
if trouble and live then -- after a replay the next beat says it again
  in_trouble[node_id], meta.troubled = true, 'true'
  plan_write('HSET', info, 'trouble', trouble)
  plan_write('SADD', key.troubled, node_id)
  plan_write('HSET', key.meta, 'troubled', 'true')
elseif in_trouble[node_id] or stream == 'events' then
  forget_trouble(node_id)
end
if known_online and online == 'true' and not accepting and not room then
  return -- nearly every beat ends here
end
local was_online, was_accepting, full_at, since_ts, known_room, room_ts = known_node(node_id)
local news = room and room ~= known_room and at > room_ts and room -- what the node has said on the log since is younger
local changed = online ~= was_online or (accepting and accepting ~= was_accepting) or (accepting == 'true' and full_at) or news
if not changed then
  return
elseif stream == 'events' then
  set_liveness(node_id, online, accepting, was_online, full_at, news)
elseif at >= since_ts then
  -- a beat from before the last change of presence says nothing about now: the two streams are read one after the other
  note_presence(node_id, online, accepting, news)
end
