-- Indexes that follow from nodes, pools and pairs, and are brought in line before they are read.

-- Remember a node, pool, set of languages or pair whose indexes have to be brought in line: of a `set` whether it is open, of a
-- `new_set` also which of its pairs wait, of a `rank` only its place among the ready ones.
local dirty = { node = {}, pool = {}, set = {}, new_set = {}, pair = {}, rank = {} }
local any_dirty = false
local rooms = {} -- what room_of has read
local few_places = {} -- which sets, pools and nodes have been read
local function mark_dirty(kind, name)
  dirty[kind][name] = true
  any_dirty = true
  if kind == 'node' then
    rooms[name] = nil
  end
  if kind ~= 'pair' then
    few_places = {}
  end
end

-- The same of a node by a function that keeps its room up to date.
local function mark_node_dirty(node_id)
  dirty.node[node_id] = true
  any_dirty = true
end

-- The place of a node among those that may receive a job: its speed in steps of an eighth to a quarter, so that what chance adds to a speed seldom moves it.
local function rank_of(speed)
  local _, exponent = math.frexp(speed)
  return speed - speed % 2 ^ math.max(exponent - 3, 0)
end

-- Bring the indexes of one node in line with its hash: the pools in which it may receive a job now, and whether it is offline
-- with jobs in its hands.
local function reindex_node(node_id)
  local info, jobs = key.node_info(node_id), key.node_jobs(node_id)
  local v = rcall('HMGET', flush(info), 'online', 'accepting', 'cordoned', 'pending', 'window', 'full_at', 'open', 'pools', 'room', 'speed')
  if not v[7] then
    return -- never registered: the event that marked it was refused
  end
  local open, was_open = 'false', v[7]
  if v[1] == 'false' then
    if rcall('EXISTS', flush(jobs)) == 1 then
      rcall('SADD', key.lost, node_id)
    else
      rcall('SREM', key.lost, node_id)
    end
  elseif v[2] == 'true' and v[3] == 'false' and tonumber(v[4]) < math.min(tonumber(v[9] or v[5]), limit.window)
    and (not v[6] or rcall('SCARD', flush(jobs)) < tonumber(v[6])) then
    open = 'true'
  end
  if open ~= was_open then
    rcall('HSET', info, 'open', open)
    rooms[node_id] = nil -- it may have been read between the mark and now
    for pool_id in gmatch(v[8], '[^ ]+') do
      rcall(open == 'true' and 'SADD' or 'SREM', key.pool_online(pool_id), node_id)
      mark_dirty('pool', pool_id)
    end
  end
  -- a node that does not say its room comes behind all that do: what it is given may wait there
  local rank = open == 'true' and (v[9] and rank_of(tonumber(v[10] or 1024)) or limit.no_room)
  if rank or was_open == 'true' then
    for pool_id in gmatch(v[8], '[^ ]+') do
      if rank then
        rcall('ZADD', key.pool_ranked(pool_id), format_int(rank), node_id)
      else
        rcall('ZREM', key.pool_ranked(pool_id), node_id)
      end
    end
  end
end

-- Bring the open pools of a set of languages in line with whether this pool has a node that may receive a job, and is not
-- paused. Its languages cost nothing here: their pairs ask the set.
local function reindex_pool(pool_id)
  local info = key.pool_info(pool_id)
  local v = rcall('HMGET', info, 'set', 'open', 'paused')
  if not v[2] then
    return -- never registered: the event that marked it was refused
  end
  local open = not v[3] and rcall('EXISTS', key.pool_online(pool_id)) == 1 and 'true' or 'false'
  if open ~= v[2] then
    rcall('HSET', info, 'open', open)
    rcall(open == 'true' and 'SADD' or 'SREM', key.set_open(v[1]), pool_id)
    mark_dirty('set', v[1])
  end
end

-- Bring the indexes of nodes, pools and sets in line, which every choice reads. The result is a pure function of the state that was
-- marked, so it does not matter how many events lie between two calls of this: live and replay end alike.
local function reindex_nodes_and_pools()
  if next(dirty.node) then
    for node_id in pairs(dirty.node) do
      reindex_node(node_id)
    end
    dirty.node = {}
  end
  if next(dirty.pool) then
    for pool_id in pairs(dirty.pool) do
      reindex_pool(pool_id)
    end
    dirty.pool = {}
  end
  if next(dirty.set) then
    for set in pairs(dirty.set) do
      rcall(rcall('EXISTS', key.set_open(set)) == 1 and 'SADD' or 'SREM', key.open, set)
      dirty.rank[set] = true
    end
    dirty.set = {}
  end
end

-- The same with the ranking, which is read once for many jobs.
local function reindex()
  if not any_dirty then
    return
  end
  reindex_nodes_and_pools()
  for pair in pairs(dirty.pair) do
    reindex_pair(pair)
  end
  dirty.pair = {}
  for set in pairs(dirty.new_set) do -- behind the pairs: until then the sets of a pair are alike
    if rcall('EXISTS', key.set_pools(set)) == 1 then -- else it is gone again, or the event that marked it was refused
      each_pair(set, function(src, tgt)
        reindex_pair(src .. ':' .. tgt, set)
      end)
    end
  end
  dirty.new_set = {}
  for set in pairs(dirty.rank) do -- by the first of its waiting pairs, while it is open
    local first = rcall('SISMEMBER', key.open, set) == 1 and rcall('ZRANGE', key.set_waiting(set), '0', '0', 'WITHSCORES')
    if first and first[1] then
      rcall('ZADD', key.ready, first[2], set)
    else
      rcall('ZREM', key.ready, set)
    end
  end
  dirty.rank = {}
  any_dirty = false
end
