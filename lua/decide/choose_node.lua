-- Which node gets a job.

-- Some random members of a set of places: all of them where they are fewer than asked for, which is remembered.
local function some_of(name, most)
  local places = few_places[name]
  if not places or #places >= most then
    places = rcall('SRANDMEMBER', name, format_int(most))
    few_places[name] = #places < most and places or nil
  end
  return places
end

-- A few random nodes of the pair that may receive a job, never a scan: one more than needed for every node that the
-- job has been to. Returns the untried nodes and the tried ones, each as {node, pool}.
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

-- Whether a job can stay on its session's node. Returns the pool that reaches it, or nil and why not.
local function keeps_node(job, pool_id, node_id, excluded)
  if excluded[node_id] then
    return nil, 'broken: tried before'
  end
  local pairs_pools = key.open(job.src_lang, job.tgt_lang)
  local place = node_id .. '\n' .. pool_id .. '\n' .. pairs_pools
  if few_places[place] then
    return pool_id -- as for a job before it
  end
  if rcall('SISMEMBER', key.pool_online(pool_id), node_id) == 1 and rcall('SISMEMBER', pairs_pools, pool_id) == 1 then
    few_places[place] = true
    return pool_id
  end
  local v = rcall('HMGET', key.node_info(node_id), 'online', 'cordoned', 'accepting', 'open', 'pools')
  if v[4] == 'true' then
    for other in gmatch(v[5], '[^ ]+') do
      if rcall('SISMEMBER', pairs_pools, other) == 1 then
        return other
      end
    end
    if config('paused') then
      for other in gmatch(v[5], '[^ ]+') do
        if rcall('HGET', key.pool_info(other), 'paused') and rcall('SISMEMBER', key.lang(job.src_lang, job.tgt_lang), other) == 1 then
          return nil, 'broken: pool paused'
        end
      end
    end
    return nil, 'broken: other languages'
  end
  return nil, v[1] ~= 'true' and 'broken: offline' or v[2] == 'true' and 'broken: cordoned'
    or v[3] ~= 'true' and 'broken: not accepting' or 'broken: full'
end

-- Choose a node for a job: its session's node if that may receive it; else of two random candidates the one that holds
-- fewer jobs (two choices); a node already tried only if there is no other. Returns nil if no node may receive it.
local function choose(job)
  local excluded, tried = {}, 0
  if job.excluded ~= '' then
    for node_id in gmatch(job.excluded, '[^\n]+') do
      excluded[node_id], tried = true, tried + 1
    end
  end
  local affinity = 'none'
  if job.affinity == 'prefer' then
    local session = session_of(job.session_id)
    if session[2] then
      local pool_id, cause = keeps_node(job, session[1], session[2], excluded)
      if pool_id then
        return session[2], pool_id, '', 'session', 'kept'
      end
      affinity = cause
    else
      affinity = 'new'
    end
  end
  local fresh, stale = candidates(job, excluded, tried)
  local a, b, why = fresh[1], fresh[2], 'two_choices'
  if not a then
    a, b, why = stale[1], nil, 'last_resort'
    if not a then
      return nil
    end
  end
  local held_a = held_by(a[1])
  if not b then
    return a[1], a[2], a[1] .. '=' .. format_int(held_a), why == 'two_choices' and 'only' or why, affinity
  end
  local held_b = held_by(b[1])
  local seen = a[1] .. '=' .. format_int(held_a) .. ' ' .. b[1] .. '=' .. format_int(held_b)
  if held_b < held_a then
    a = b
  end
  return a[1], a[2], seen, why, affinity
end
