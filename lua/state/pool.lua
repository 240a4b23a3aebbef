-- Pools, the language pairs that they serve, and what an operator has paused.

-- Call visit(src, tgt) for every ordered pair of languages, given as one text joined by blanks.
local function each_pair(languages, visit)
  for src in gmatch(languages, '[^ ]+') do
    for tgt in gmatch(languages, '[^ ]+') do
      if src ~= tgt then
        visit(src, tgt)
      end
    end
  end
end

-- The name of an ordered language pair under which its jobs wait.
local function pair_of(src_lang, tgt_lang)
  if src_lang == tgt_lang then
    refuse_event('INVALID_FIELD', 'tgt_lang equals src_lang: no job waits for such a pair')
  end
  return src_lang .. ':' .. tgt_lang
end

-- Refuse a pool that no node ever registered for: most likely its name is mistyped.
local function known_pool(pool_id)
  if not rcall('HGET', key.pool_info(pool_id), 'languages') then
    refuse_event('UNKNOWN_POOL', 'pool_id ' .. pool_id .. ': no node ever registered for it; `streamsched status` lists the pools by their ids')
  end
end

-- Whether an operator has paused a language pair. The configuration, which is read anyway where there is something to
-- dispatch, says whether anything is paused at all; so the question costs nothing while nothing is.
local function is_paused(pair)
  return config('paused') and rcall('HGET', key.paused, 'pair ' .. pair) and true
end

-- Pause a pool or a pair, or resume it: an entry in the list of what is paused, and how many entries there are. Pausing it
-- again only gives another reason.
local function set_pause(name, paused, reason)
  local was_paused = rcall('HGET', key.paused, name) and true or false
  if paused then
    plan_write('HSET', key.paused, name, at_text .. ' ' .. (reason or ''))
  elseif was_paused then
    plan_write('HDEL', key.paused, name)
  end
  if paused ~= was_paused then
    local count = (config('paused') or 0) + (paused and 1 or -1)
    if count > 0 then
      plan_write('HSET', key.config, 'paused', count)
    else
      plan_write('HDEL', key.config, 'paused')
    end
    forget_config()
  end
end

-- A member leaves its pool. A pool that has lost its last one is retired later, unless it is paused: an operator still wants
-- something of it.
local function leave_pool(pool_id, node_id)
  local members, pool_hash = key.pool_members(pool_id), key.pool_info(pool_id)
  if rcall('SCARD', members) == 1 and not rcall('HGET', pool_hash, 'paused') then
    plan_write('ZADD', key.gone, at_text, 'pool ' .. pool_id)
  end
  plan_write('SREM', members, node_id)
  plan_write('SREM', key.pool_online(pool_id), node_id)
  plan_write('ZREM', key.pool_ranked(pool_id), node_id)
  mark_dirty('pool', pool_id)
end
