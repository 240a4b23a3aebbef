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
-- job has been to. They come from a few random pools, in turn from each of a few random sets of languages. Returns the untried
-- nodes and the tried ones, each as {node, pool}.
local drawn
local function candidates(job, excluded, tried)
  local src, tgt, most = job.src_lang, job.tgt_lang, 2 + tried
  local name = 'open ' .. src .. ':' .. tgt
  local sets, pools, offered = few_places[name], {}, {}
  if not sets then
    local all = few_places[key.serving(src, tgt)] or rcall('ZRANGE', key.serving(src, tgt), '0', limit.sets)
    local open = #all > 0 and rcall('SMISMEMBER', key.open, unpack(all))
    sets = {}
    for i = 1, #all do
      sets[#sets + 1] = open[i] == 1 and all[i] or nil
    end
    few_places[name] = sets
  end
  for i = 1, math.min(most, #sets) do
    if #sets > 1 then -- math.random draws the same numbers in each call of a script: these follow from the nonce
      for k = 1, drawn and 0 or #nonce do
        drawn = ((drawn or 0) * 31 + nonce:byte(k)) % 2147483646 + 1
      end
      drawn = (drawn or 1) * 16807 % 2147483647 -- the generator of Park and Miller
      local j = i + drawn % (#sets - i + 1)
      sets[i], sets[j] = sets[j], sets[i]
    end
    offered[i] = some_of(key.set_open(sets[i]), most)
  end
  for turn = 1, most do
    for i = 1, #offered do
      if #pools < most then
        pools[#pools + 1] = offered[i][turn]
      end
    end
  end
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
  local src, tgt = job.src_lang, job.tgt_lang
  local place = node_id .. '\n' .. pool_id .. '\n' .. src .. ':' .. tgt
  local function serves(set)
    set = ' ' .. set .. ' '
    return find(set, ' ' .. src .. ' ', 1, true) and find(set, ' ' .. tgt .. ' ', 1, true)
  end
  if few_places[place] then
    return pool_id -- as for a job before it
  end
  if rcall('SISMEMBER', key.pool_online(pool_id), node_id) == 1 then
    local pool = rcall('HMGET', key.pool_info(pool_id), 'open', 'set')
    if pool[1] == 'true' and serves(pool[2]) then
      few_places[place] = true
      return pool_id
    end
  end
  local v = rcall('HMGET', key.node_info(node_id), 'online', 'cordoned', 'accepting', 'open', 'pools')
  if v[4] == 'true' then
    local paused
    for other in gmatch(v[5], '[^ ]+') do
      local pool = rcall('HMGET', key.pool_info(other), 'open', 'set', 'paused')
      if serves(pool[2]) then
        if pool[1] == 'true' then
          return other
        end
        paused = paused or pool[3]
      end
    end
    return nil, paused and 'broken: pool paused' or 'broken: other languages'
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
