-- A beat showed that a node is there: it came online for the first time, or again.
-- FACT: node_id accepting room
local was_online, _, full_at = known_node(node_id)
set_liveness(node_id, 'true', accepting, was_online, full_at, room)
