-- A beat changed what is known of a node that stays online, or said that it goes.
-- FACT: node_id online accepting room
local was_online, _, full_at = known_node(node_id)
set_liveness(node_id, online, accepting, was_online, full_at, room)
