-- An operator keeps new jobs away from a node; the jobs that it holds go on.
-- FIELDS: node_id:id reason?:text request_id?:id
-- ONCE: node_id
known_node(node_id)
plan_write('HSET', key.node_info(node_id), 'cordoned', 'true', 'cordon_reason', reason or '')
mark_dirty('node', node_id)
