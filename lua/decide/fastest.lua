-- The choice of a node by its learned speed, among those that say they have room.

-- The fastest nodes of these pools that say they have room, as {node, pool, rank}: those of the best rank, and of each pool at most
-- eight beside those that the job has been to. Where more are as fast, the eight begin at a random one, so that the same are
-- not always first.
local function fastest(pools, excluded, tried)
  local whole = tried == 0 and 'fastest ' .. concat(pools, ' ')
  if whole and few_places[whole] then
    return few_places[whole]
  end
  local found, best, seen = {}, limit.no_room, {}
  for i = 1, #pools do
    local name, most = key.pool_ranked(pools[i]), 8 + tried
    local ranked = few_places[name]
    if not ranked then
      ranked = rcall('ZRANGE', name, '0', most - 1, 'WITHSCORES')
      local first = tonumber(ranked[2])
      if first and first < limit.no_room and ranked[2 * most] == ranked[2] then
        ranked.alike = rcall('ZCOUNT', name, '-inf', ranked[2])
      end
      few_places[name] = ranked
    end
    if ranked.alike and ranked.alike > most then
      whole = false
      local from = draw(ranked.alike - most + 1)
      ranked = rcall('ZRANGE', name, from, from + most - 1, 'WITHSCORES')
    end
    for j = 1, #ranked, 2 do
      local node_id, rank = ranked[j], tonumber(ranked[j + 1])
      if rank < limit.no_room and not excluded[node_id] and not seen[node_id] then
        seen[node_id] = true
        found[#found + 1] = { node_id, pools[i], rank }
        best = math.min(best, rank)
      end
    end
  end
  local kept = {}
  for i = 1, #found do
    kept[#kept + 1] = found[i][3] == best and found[i] or nil
  end
  if whole then
    few_places[whole] = kept
  end
  return kept
end

-- Of the fastest nodes with room a random one, or of two the one that is less full. Once in 128 times the choice is left to
-- chance, so that a node that was slow is tried again.
local function choose_fastest(pools, excluded, tried)
  if config('policy') ~= 'expected_finish' or draw(128) == 0 then
    return nil
  end
  local nodes = fastest(pools, excluded, tried)
  if #nodes == 0 then
    return nil
  end
  local i = draw(#nodes) + 1
  local a = nodes[i]
  local speed = '=' .. format('%.2f', a[3] / 1024) -- of the others, too
  if #nodes > 1 then
    local b = nodes[(i + draw(#nodes - 1)) % #nodes + 1]
    local full_a, full_b = held_by(a[1]), held_by(b[1])
    local room_a, room_b = room_of(a[1]), room_of(b[1])
    if full_b * (room_a.said - room_a.pending + full_a) < full_a * (room_b.said - room_b.pending + full_b) then
      a, b = b, a
    end
    return a, a[1] .. speed .. ' ' .. b[1] .. speed
  end
  return a, a[1] .. speed
end
