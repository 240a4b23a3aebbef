-- Which node gets a job.

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

-- Choose a node for a job: its session's node if that may receive it; else one of the fastest nodes that say they have room; else of
-- two random candidates the one that holds fewer jobs (two choices); a node already tried only if there is no other.
-- Returns nil if no node may receive it.
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
  local pools = open_pools(job, 2 + tried)
  local best, speeds = choose_fastest(pools, excluded, tried)
  if best then
    return best[1], best[2], speeds, 'expected_finish', affinity
  end
  local fresh, stale = candidates(pools, excluded, tried)
  local a, b, why = fresh[1], fresh[2], 'two_choices'
  if b and config('policy') == 'random' then
    b, why = nil, 'random'
  end
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
