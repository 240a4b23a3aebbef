-- An operator empties a node: no new jobs, and it is told to hand back what it has not started; what runs may end.
-- FIELDS: node_id:id reason?:text request_id?:id
-- USES: want touch known_node effect mailbox_of requested_before
if requested_before(e) then
  return
end
known_node(node_id)
want('HSET', key.node_info(node_id), 'cordoned', 'true', 'cordon_reason', reason or 'drained')
effect('XADD', key.inbox(mailbox_of(node_id)), 'MAXLEN', '~', limit.inbox, '*', 'type', 'node.drained', 'node_id', node_id)
touch('node', node_id)
