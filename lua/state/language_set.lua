-- The sets of languages that pools serve. Pools of the same languages share one, so that what a pair costs does not grow with its
-- pools, and what a pool costs does not grow with its languages.

-- The set of a pool's languages, given as a list: the same whatever their order in the pool's name.
local function set_of(languages)
  local codes = { unpack(languages) }
  sort(codes, bytes_before)
  return concat(codes, ' ')
end

-- A pool joins a set (by = 1), or leaves it (by = -1). `moves` notes for move_sets how many pools each
-- set had before the event, and gains by it.
local function move_pool(moves, pool_id, set, by)
  if not moves[set] then
    moves[#moves + 1], moves[set] = set, { before = rcall('SCARD', key.set_pools(set)), gained = 0 }
  end
  moves[set].gained = moves[set].gained + by
  plan_write(by == 1 and 'SADD' or 'SREM', key.set_pools(set), pool_id)
  if by == -1 then
    plan_write('SREM', key.set_open(set), pool_id)
  end
  each_pair(set, function(src, tgt)
    plan_write(by == 1 and 'SADD' or 'SREM', key.lang(src, tgt), pool_id)
  end)
  mark_dirty('set', set)
end

-- Enter a set under its pairs where it has gained its first pool, and forget it where it has lost its last one. Refuse the event
-- where a pair would have more sets than every change of its first job may touch; a set that leaves it in the same event still counts.
local function move_sets(moves)
  local gained, remaining, last = {}, {}, {}
  for i = 1, #moves do
    local set = moves[i]
    local before = moves[set].before
    local after = before + moves[set].gained
    if before == 0 and after > 0 then
      each_pair(set, function(src, tgt)
        local name = key.serving(src, tgt)
        gained[name] = (gained[name] or rcall('ZCOUNT', name, '-inf', '+inf')) + 1
        if gained[name] > limit.sets then
          refuse_event('INVALID_FIELD', 'pool_names_json: ' .. src .. '-' .. tgt .. ' is served by pools of ' .. limit.sets
            .. ' different sets of languages: give the pool the languages of one of them')
        end
        plan_write('ZADD', name, '0', set)
      end)
      mark_dirty('new_set', set)
    elseif before > 0 and after == 0 then
      each_pair(set, function(src, tgt)
        local name = key.serving(src, tgt)
        remaining[name] = (remaining[name] or rcall('ZCOUNT', name, '-inf', '+inf')) - 1
        if remaining[name] == 0 then
          last[#last + 1] = { name, src .. ':' .. tgt }
        end
        plan_write('ZREM', name, set)
      end)
      plan_write('DEL', key.set_waiting(set))
    end
  end
  for i = 1, #last do
    if not gained[last[i][1]] then -- no pool serves the pair any more
      run_means[last[i][2]] = nil
      plan_write('HDEL', flush(key.run_means), last[i][2])
    end
  end
end
