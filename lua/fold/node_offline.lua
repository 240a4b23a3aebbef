-- A node is gone, as it says itself or an operator does: it leaves its pools, and the jobs it held go elsewhere.
-- FIELDS: node_id:id reason?:text request_id?:id
-- ONCE: node_id
local was_online, _, full_at = known_node(node_id)
plan_write('HSET', key.node_info(node_id), 'left_ts', at_text) -- soft: what the beats are held against
set_liveness(node_id, 'false', nil, was_online, full_at)
