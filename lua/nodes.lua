-- Tell of some nodes what decides whether they may receive a job, their pools, and how many jobs they hold.
-- READS: nodes
-- ARGV: prefix ids
-- USES: context
-- `ids` is a JSON list. Replies seven texts for each node, one behind the other; nothing for one that never registered.
-- One call for hundreds of nodes, because to send and read that many commands costs a reader more than the server.
local told = {}
for _, id in ipairs(cjson.decode(ids)) do
  local v = rcall('HMGET', key.node_info(id), 'online', 'accepting', 'open', 'cordoned', 'pools')
  if v[1] then
    local n = #told
    told[n + 1], told[n + 2], told[n + 3], told[n + 4] = id, v[1], v[2] or '', v[3] or ''
    told[n + 5], told[n + 6], told[n + 7] = v[4] or '', v[5] or '', format('%.0f', rcall('SCARD', key.node_jobs(id)))
  end
end
return told
