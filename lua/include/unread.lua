-- USES: want touch room_of whole
-- Count one assignment more, or less, that a node has still to begin.
local function count_unread(node_id, by)
  local room = room_of(node_id)
  room.pending = room.pending + by
  want_member('HSET', key.node_info(node_id), 'pending', whole(room.pending))
end

-- A node begins a job. One that has begun all it was given is trusted with twice as many unread assignments.
local function begin(node_id)
  local room = room_of(node_id)
  if room.pending >= room.window then
    look_again(node_id) -- it was closed; a node that was open stays so
  end
  count_unread(node_id, -1)
  if room.pending == 0 and room.window < limit.window then
    room.window = room.window * 2
    want_member('HSET', key.node_info(node_id), 'window', whole(room.window))
  end
end
