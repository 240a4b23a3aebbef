-- A node, or somebody who knows, says that it is gone: it leaves its pools, and the jobs it held go elsewhere.
-- FIELDS: node_id:id reason?:text request_id?:id
-- USES: context want known_node set_liveness requested_before
if requested_before(e) then
  return
end
local was_online, _, full_at = known_node(node_id)
want('HSET', key.node_info(node_id), 'left_ts', at_text) -- soft: what the beats are held against
set_liveness(node_id, 'false', nil, was_online, full_at)
