-- Read of some nodes what decides whether they may receive a job, their pools, and how many jobs they hold.
-- READS: nodes
-- ARGV: prefix ids
-- `ids` is a JSON list. Replies seven texts for each node, one behind the other; nothing for one that never registered.
-- One call for hundreds of nodes, because to send and read that many commands costs a reader more than the server.
local reply = {}
for _, id in ipairs(cjson.decode(ids)) do
  local v = rcall('HMGET', key.node_info(id), 'online', 'accepting', 'open', 'cordoned', 'pools')
  if v[1] then
    local n = #reply
    reply[n + 1], reply[n + 2], reply[n + 3], reply[n + 4] = id, v[1], v[2] or '', v[3] or ''
    reply[n + 5], reply[n + 6], reply[n + 7] = v[4] or '', v[5] or '', format('%.0f', rcall('SCARD', key.node_jobs(id)))
  end
end
return reply
