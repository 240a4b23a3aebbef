-- An operator empties a node: it gets no new jobs and hands back those it has not started; those that run may end.
-- FIELDS: node_id:id reason?:text request_id?:id
-- ONCE: node_id
known_node(node_id)
plan_write('HSET', key.node_info(node_id), 'cordoned', 'true', 'cordon_reason', reason or 'drained')
deliver_to_inbox(mailbox_of(node_id), 0, 'type', 'node.drained', 'node_id', node_id)
mark_dirty('node', node_id)
