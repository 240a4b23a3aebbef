-- A node announces itself, what it can do, and the pools it belongs to: it comes online, and this counts as its first beat.
-- Announcing again replaces its pools. Another `incarnation` is another process under the same id: the older one stops.
-- FIELDS: node_id:id cap_json:json pool_names_json?:pools mailbox?:id incarnation?:id request_id?:id
-- ONCE: node_id
local info = key.node_info(node_id)
local before = rcall('HMGET', info, 'cap_json', 'pool_names_json', 'mailbox', 'pools', 'online', 'full_at', 'incarnation',
  'trouble')
plan_write('HSET', info, 'last_heartbeat_ts', at_text, 'left_ts', at_text) -- soft: beats from before say nothing about now
if before[8] then
  forget_trouble(node_id)
end
if before[5] and before[5] ~= 'true' then
  set_liveness(node_id, 'true', nil, before[5], before[6])
end
local known = incarnation or before[7] or id
if before[7] ~= known then
  plan_write('HSET', info, 'incarnation', known)
  if incarnation then -- another process: one assignment until its first beat says how many it takes
    forget_room(node_id)
    plan_write('HSET', info, 'window', 1)
    mark_dirty('node', node_id)
  end
  if before[7] then
    deliver_to_inbox(before[3] or node_id, 0, 'type', 'node.superseded', 'node_id', node_id, 'incarnation', known)
  end
end
if before[1] == cap_json and (before[2] or nil) == e.pool_names_json and (before[3] or nil) == mailbox then
  return
end
local pools = pool_names_json or {}
local ids, member, moves, created = {}, {}, {}, {}
for i = 1, #pools do
  local pool = pools[i]
  ids[i], member[pool.id] = pool.id, true
  local pool_hash, languages = key.pool_info(pool.id), concat(pool.languages, ' ')
  local stored = rcall('HMGET', pool_hash, 'languages', 'set')
  if stored[1] ~= languages then
    local set = set_of(pool.languages)
    if stored[1] then
      if sender_in(e) then
        refuse_event('NOT_PERMITTED', 'pool ' .. pool.id .. ' serves ' .. stored[1] .. ': source ' .. e.source
          .. ' may join it, but not change what it serves; give the pool another id')
      end
      move_pool(moves, pool.id, stored[2], -1)
    else
      created[#created + 1] = pool
    end
    move_pool(moves, pool.id, set, 1)
    -- open=false makes reindex_pool enter the pool among the open ones of its new set
    plan_write('HSET', pool_hash, 'languages', languages, 'set', set, 'name', pool.name, 'open', 'false')
    plan_write('SADD', key.pools, pool.id)
  end
  if stored[1] and rcall('EXISTS', key.pool_members(pool.id)) == 0 then
    plan_write('ZREM', key.gone, 'pool ' .. pool.id)
  end
  plan_write('SADD', key.pool_members(pool.id), node_id)
  mark_dirty('pool', pool.id)
end
move_sets(moves)
charge_pools(e, created)
for pool_id in gmatch(before[4] or '', '[^ ]+') do
  if member[pool_id] then
    plan_write('SREM', key.pool_online(pool_id), node_id)
    plan_write('ZREM', key.pool_ranked(pool_id), node_id)
    mark_dirty('pool', pool_id)
  else
    leave_pool(pool_id, node_id)
  end
end
plan_write('HSET', info, 'cap_json', cap_json, 'pools', concat(ids, ' '), 'open', 'false')
if e.pool_names_json then
  plan_write('HSET', info, 'pool_names_json', e.pool_names_json)
else
  plan_write('HDEL', info, 'pool_names_json')
end
local inbox, inbox_before = mailbox or node_id, before[1] and (before[3] or node_id)
if inbox ~= inbox_before then
  enter_mailbox(inbox)
  if inbox_before and leave_mailbox(inbox_before) then -- an earlier process of the node may still have to read it
    plan_delivery('PEXPIRE', key.inbox(inbox_before), format_int(limit.reply_ms))
  end
end
if mailbox then
  plan_write('HSET', info, 'mailbox', mailbox)
else
  plan_write('HDEL', info, 'mailbox')
end
if not before[1] then
  plan_write('HSET', info, 'cordoned', 'false', 'pending', 0, 'window', incarnation and 1 or 8)
  set_liveness(node_id, 'true', nil, 'false', nil)
  plan_write('SADD', key.nodes, node_id)
  bump('nodes')
end
mark_dirty('node', node_id)
