-- USES: context touch whole
-- Some random members of a set of places: all of them where they are fewer than asked for, which is remembered.
local function some_of(name, most)
  local places = few_places[name]
  if not places or #places >= most then
    places = rcall('SRANDMEMBER', name, whole(most))
    few_places[name] = #places < most and places or nil
  end
  return places
end

-- A few random nodes of the pair that may receive a job, never a scan: one more than needed for every node that the
-- job has been to. Returns the untried ones and the tried ones, each as {node, pool}.
local function candidates(job, excluded, tried)
  local pools = some_of(key.open(job.src_lang, job.tgt_lang), 2 + tried)
  local fresh, stale, seen = {}, {}, {}
  for i = 1, #pools do
    local nodes = some_of(key.pool_online(pools[i]), (#pools == 1 and 2 or 1) + tried)
    for j = 1, #nodes do
      local node_id = nodes[j]
      if not seen[node_id] then
        seen[node_id] = true
        local list = excluded[node_id] and stale or fresh
        list[#list + 1] = { node_id, pools[i] }
      end
    end
    if #fresh >= 2 then
      break
    end
  end
  return fresh, stale
end
