-- A node has been silent for too long: it leaves its pools, and the jobs it held go elsewhere.
-- FACT: node_id last_heartbeat_ts
local was_online, _, full_at = known_node(node_id)
set_liveness(node_id, 'false', nil, was_online, full_at)
bump('expired_nodes')
