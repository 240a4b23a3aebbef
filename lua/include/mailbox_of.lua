-- USES: context
-- Where a node's assignments go: its own inbox, or that of the gateway it registered behind.
local function mailbox_of(node_id)
  return rcall('HGET', key.node_info(node_id), 'mailbox') or node_id
end
