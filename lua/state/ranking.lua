-- Which jobs could go to a node now: sets of languages by the best of their pairs, pairs by their first waiting job.

-- Bring the waiting pairs of all sets that serve this pair in line with its first job, while one waits and the pair is not paused:
-- or only of one set, which has come into being. The others are all alike: where one does not change, none does.
local function reindex_pair(pair, new_set)
  local src, tgt = match(pair, '^([^:]+):(.+)$')
  local first = rcall('ZRANGE', flush(key.waiting(src, tgt)), '0', '0', 'WITHSCORES')
  local waits = first[1] and not is_paused(pair)
  local name = key.serving(src, tgt)
  local sets = new_set and { new_set } or few_places[name] or rcall('ZRANGE', name, '0', limit.sets)
  few_places[name] = not new_set and sets or few_places[name]
  for i = 1, #sets do
    local waiting = key.set_waiting(sets[i])
    local changed = waits and rcall('ZADD', waiting, 'CH', first[2], pair) or not waits and rcall('ZREM', waiting, pair)
    if changed == 1 then
      dirty.rank[sets[i]] = true
    elseif not dirty.new_set[sets[i]] then
      return
    end
  end
end

-- The best pairs of the ready sets, best first, each as {pair, order}, and the order from which on others may come between: about
-- sixteen of them. A pair stands in each set that serves it, so sets are read until no other one can hold a better pair.
local function best_pairs()
  local found, bound, known, read = {}, math.huge, {}, 0
  repeat
    local ranked = rcall('ZRANGE', key.ready, read, read + 16, 'WITHSCORES')
    for i = 1, math.min(#ranked, 32), 2 do
      local queue = rcall('ZRANGE', key.set_waiting(ranked[i]), '0', '16', 'WITHSCORES')
      for j = 1, math.min(#queue, 32), 2 do
        if not known[queue[j]] then
          known[queue[j]] = true
          found[#found + 1] = { pair = queue[j], order = tonumber(queue[j + 1]) }
        end
      end
      bound = math.min(bound, tonumber(queue[34] or math.huge))
    end
    read = read + 16
    sort(found, function(a, b)
      return a.order < b.order
    end)
    for i = #found, 17, -1 do
      bound, found[i] = math.min(bound, found[i].order), nil
    end
    local next_order = tonumber(ranked[34] or math.huge)
    local last_order = found[16] and found[16].order or math.huge
    -- with as many sets read as may serve one pair, the best pair is known with all that may come before it
    if not ranked[34] or next_order >= math.min(bound, last_order) or read >= limit.sets then
      return found, math.min(bound, next_order)
    end
  until false
end
