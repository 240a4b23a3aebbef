-- Inboxes, and how many nodes read each. One that no node reads any more goes.

-- A node has its assignments put into this inbox from now on.
local function enter_mailbox(mailbox)
  if live and rcall('HEXISTS', key.mailboxes, mailbox) == 0 then
    plan_write('PERSIST', key.inbox(mailbox)) -- it may be about to expire, since another node has left it
  end
  plan_write('HINCRBY', key.mailboxes, mailbox, 1)
end

-- A node has its assignments put into this inbox no more. Returns whether it was the last one.
local function leave_mailbox(mailbox)
  local last = rcall('HGET', key.mailboxes, mailbox) == '1'
  if last then
    plan_write('HDEL', key.mailboxes, mailbox)
  else
    plan_write('HINCRBY', key.mailboxes, mailbox, -1)
  end
  return last
end
