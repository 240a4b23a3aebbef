-- USES: context decide report known_node
-- Record what the beats just read have changed: a node that came, went, paused or took up work again.
local function report_nodes()
  for i = 1, #reports do
    local node_id, online, accepting = unpack(reports[i])
    local was_online, was_accepting, full_at = known_node(node_id)
    -- looked at again, because an earlier beat of the same call may already have said it
    if online ~= was_online then
      if online == 'true' then
        decide('node.recovered', 'node_id', node_id, 'accepting', accepting or 'true')
      else
        decide('node.reported', 'node_id', node_id, 'online', 'false', 'accepting', accepting or was_accepting)
      end
    elseif accepting and accepting ~= was_accepting or accepting == 'true' and full_at
      and rcall('HGET', key.node_info(node_id), 'open') == 'false' then
      decide('node.reported', 'node_id', node_id, 'online', online, 'accepting', accepting)
    end
  end
  reports = {}
end
