-- Note what a beat changed, for the tail to decide on.
local reports = {}
local function report(node_id, online, accepting)
  reports[#reports + 1] = { node_id, online, accepting }
end
