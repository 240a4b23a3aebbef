-- A node, or somebody who knows, says that it is gone: it leaves its pools, and the jobs it held go elsewhere.
-- FIELDS: node_id:id reason?:text request_id?:id
-- USES: known_node set_liveness requested_before
if requested_before(e) then
  return
end
local was_online, _, full_at = known_node(node_id)
set_liveness(node_id, 'false', nil, was_online, full_at)
