-- Note what a beat changed, for the tail to decide on.
local reports = {}
local known_online = false -- whether the node of the beat being folded is known to be online
local function report(node_id, online, accepting)
  reports[#reports + 1] = { node_id, online, accepting }
end
