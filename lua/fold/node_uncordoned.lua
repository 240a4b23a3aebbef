-- An operator lets a cordoned or drained node have jobs again.
-- FIELDS: node_id:id reason?:text request_id?:id
-- ONCE: node_id
known_node(node_id)
plan_write('HSET', key.node_info(node_id), 'cordoned', 'false')
plan_write('HDEL', key.node_info(node_id), 'cordon_reason')
mark_dirty('node', node_id)
