-- USES: context fail sender_of not_behind
-- Refuse what the source of an event was not admitted for; what came without a source is not asked. A node speaks for itself,
-- a producer for jobs and sessions of its own, whose ids begin with its name.
local function check_sender(e, stream)
  local sender = sender_in(e)
  if not sender then
    return
  end
  local role, kind = sender.role, tostring(e.type)
  local function may_not(what)
    fail('NOT_PERMITTED', 'type ' .. format('%q', kind) .. ': source ' .. e.source .. ' (' .. role .. ') may not ' .. what)
  end
  local may = role == 'node' and 'node.registered node.heartbeat node.offline job.started job.progressed job.declined job.completed'
    or 'job.submitted job.cancelled session.released'
  if sender.revoked then
    may_not('say anything: it was revoked; admit it again with source.admitted')
  elseif not find(' ' .. may .. ' ', ' ' .. kind .. ' ', 1, true) then
    may_not('say this: let somebody append it who needs no ingress')
  elseif stream == 'events' and not e.retry_of and not_behind(e.source_id, sender.last_id) then
    may_not('be heard twice: source_id ' .. e.source_id .. ' is not behind ' .. sender.last_id)
  end
  if role == 'node' then
    if e.node_id ~= sender.node_id then
      may_not('speak for node ' .. format('%q', e.node_id or '') .. ', only for ' .. format('%q', sender.node_id)
        .. ': give each node a source of its own')
    elseif e.mailbox and e.mailbox ~= sender.node_id then
      may_not('have its jobs put into another inbox: leave mailbox out')
    end
    return
  end
  local scope = e.source .. '/'
  for _, field in ipairs({ 'job_id', 'session_id', 'reply_to' }) do
    if e[field] and e[field]:sub(1, #scope) ~= scope then
      may_not('give a ' .. field .. ' that does not begin with ' .. scope .. ': jobs and sessions of others are not its own')
    end
  end
  local priority = e.priority or '0'
  if e.deliver == 'false' then
    may_not('deliver jobs by itself: leave deliver out')
  elseif find(priority, '^%-?%d+$') and tonumber(priority) > sender.priority then
    may_not('ask for a priority above ' .. format('%.0f', sender.priority) .. ': lower it, or admit the source with a higher one')
  end
end
