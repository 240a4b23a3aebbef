-- USES: context
-- Add a node to those a job has already been to; the last eight are remembered, so that a choice stays cheap.
local function exclude(excluded, node_id)
  local kept = {}
  for other in gmatch(excluded, '[^\n]+') do
    if other ~= node_id then
      kept[#kept + 1] = other
    end
  end
  kept[#kept + 1] = node_id
  return concat(kept, '\n', #kept > 8 and #kept - 7 or 1)
end
