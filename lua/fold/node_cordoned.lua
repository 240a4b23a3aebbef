-- An operator keeps new jobs away from a node; what it holds goes on.
-- FIELDS: node_id:id reason?:text
-- USES: want touch known_node
known_node(node_id)
want('HSET', key.node_info(node_id), 'cordoned', 'true', 'cordon_reason', reason or '')
touch('node', node_id)
