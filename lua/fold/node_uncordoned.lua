-- An operator lets a cordoned or drained node have jobs again.
-- FIELDS: node_id:id reason?:text request_id?:id
-- USES: want touch known_node requested_before
if requested_before(e) then
  return
end
known_node(node_id)
want('HSET', key.node_info(node_id), 'cordoned', 'false')
want('HDEL', key.node_info(node_id), 'cordon_reason')
touch('node', node_id)
