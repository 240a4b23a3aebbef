-- Remember a node, pool or pair whose derived indexes must be settled before anybody reads them.
local touched = { node = {}, pool = {}, pair = {} }
local any_touched = false
local rooms = {} -- what room_of has read
local few_places = {} -- what some_of has read
local function touch(kind, name)
  touched[kind][name] = true
  any_touched = true
  if kind == 'node' then
    rooms[name] = nil
  end
  if kind ~= 'pair' then
    few_places = {}
  end
end

-- The same of a node by who keeps its room up to date: only its indexes are to be looked at again.
local function look_again(node_id)
  touched.node[node_id] = true
  any_touched = true
end
