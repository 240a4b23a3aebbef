-- A few nodes that may receive a job, drawn at random: never a scan.

-- Some random members of a set of places: all of them where they are fewer than asked for, which is remembered.
local function some_of(name, most)
  local places = few_places[name]
  if not places or #places >= most then
    places = rcall('SRANDMEMBER', name, format_int(most))
    few_places[name] = #places < most and places or nil
  end
  return places
end

-- A random number from 0 to below `n`. math.random draws the same numbers in each call of a script: these follow from the nonce.
local drawn
local function draw(n)
  for k = 1, drawn and 0 or #nonce do
    drawn = ((drawn or 0) * 31 + nonce:byte(k)) % 2147483646 + 1
  end
  drawn = (drawn or 1) * 16807 % 2147483647 -- the generator of Park and Miller
  return drawn % n
end

-- A few random open pools of the pair, in turn from each of a few random sets of languages.
local function open_pools(job, most)
  local src, tgt = job.src_lang, job.tgt_lang
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
    local j = i + (#sets > 1 and draw(#sets - i + 1) or 0)
    sets[i], sets[j] = sets[j], sets[i]
    offered[i] = some_of(key.set_open(sets[i]), most)
  end
  for turn = 1, most do
    for i = 1, #offered do
      if #pools < most then
        pools[#pools + 1] = offered[i][turn]
      end
    end
  end
  return pools
end

-- A few random nodes of these pools that may receive a job, never a scan: one more than needed for every node that the
-- job has been to. Returns the untried nodes and the tried ones, each as {node, pool}.
local function candidates(pools, excluded, tried)
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
