-- A node is forgotten, with all that is its own: it has been offline for `node_retention_ms`, or an operator retires it at
-- once. Refused while it is online or holds jobs. A retired node that comes back registers again, as a new one.
-- FIELDS: node_id:id reason?:text request_id?:id
-- ONCE: node_id
if known_node(node_id) == 'true' then
  refuse_event('NODE_IN_USE', 'node_id ' .. node_id .. ' is online: stop it, or append node.offline, and retire it then')
elseif held_by(node_id) > 0 then
  refuse_event('NODE_IN_USE', 'node_id ' .. node_id .. ' holds ' .. format_int(held_by(node_id))
    .. ' jobs, which a worker gives to other nodes: retire it then')
end
local info = flush(key.node_info(node_id))
local v = rcall('HMGET', info, 'pools', 'mailbox')
for pool_id in gmatch(v[1], '[^ ]+') do
  leave_pool(pool_id, node_id)
end
local mailbox = v[2] or node_id
if leave_mailbox(mailbox) and live then -- on a replay the inbox may be that of a node which registered later
  plan_write('UNLINK', key.inbox(mailbox))
end
plan_write('DEL', info)
plan_write('SREM', key.nodes, node_id)
plan_write('SREM', key.lost, node_id)
plan_write('ZREM', key.gone, 'node ' .. node_id)
bump('nodes', -1)
mark_dirty('node', node_id)
