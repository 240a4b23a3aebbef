-- USES: context touch written
-- How many assignments a node may still have unread, read once and kept until somebody touches the node. Who changes it
-- here writes it, too. A fold asks before it touches.
local function room_of(node_id)
  local room = rooms[node_id]
  if not room then
    local v = rcall('HMGET', written(key.node_info(node_id)), 'pending', 'window', 'full_at', 'open', 'mailbox')
    room = { pending = tonumber(v[1]), window = tonumber(v[2]), full_at = v[3], open = v[4] == 'true', mailbox = v[5] or node_id }
    rooms[node_id] = room
  end
  return room
end
