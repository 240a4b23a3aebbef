-- USES: context
-- Where a node's assignments go: its own inbox, or that of the gateway it registered behind. Read once a call.
local mailboxes = {}
local function mailbox_of(node_id)
  local mailbox = mailboxes[node_id]
  if not mailbox then
    mailbox = rcall('HGET', key.node_info(node_id), 'mailbox') or node_id
    mailboxes[node_id] = mailbox
  end
  return mailbox
end
