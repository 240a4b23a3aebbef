-- An operator keeps new jobs away from a node; what it holds goes on.
-- FIELDS: node_id:id reason?:text request_id?:id
-- USES: want touch known_node requested_before
if requested_before(e) then
  return
end
known_node(node_id)
want('HSET', key.node_info(node_id), 'cordoned', 'true', 'cordon_reason', reason or '')
touch('node', node_id)
