-- Take in what waits in the ingress streams, a fair share from each.

-- Add the tokens that a source has earned since it was last looked at: at most a second's worth at once.
local function refill_tokens(sender)
  local tokens = tonumber(sender.tokens or sender.rate)
  sender.tokens = math.min(sender.rate, tokens + math.max(0, now - tonumber(sender.tokens_ts or now)) * sender.rate / 1000)
  sender.tokens_ts = now_text
end

-- Record the limits that were passed: every few seconds, so that a flood is not answered by a flood of facts; and everything
-- that was dropped when nothing waits any more, for there may be no later call.
local function record_limits(name, sender, emptied)
  local due, kept = now >= sender.told_ts + limit.limited_ms, ''
  for cause, dropped in gmatch(sender.over, '(%a+)=(%d+) ') do
    if due or emptied and dropped ~= '0' then
      decide('source.limited', 'source', name, 'cause', cause, 'dropped', dropped)
      sender.told_ts = now
    else
      kept = kept .. cause .. '=' .. dropped .. ' '
    end
  end
  sender.over = kept
end

-- How many of the entries that wait are beyond the bytes that an ingress may hold, by the mean of some of them. A server that does not
-- say how large a stream is, or not to this user, leaves it at the entries.
local function too_large(stream, waiting)
  local bytes = waiting > limit.read and redis.pcall('MEMORY', 'USAGE', stream)
  if type(bytes) ~= 'number' then
    return 0
  end
  return math.ceil(waiting * (1 - limit.held_bytes / math.max(bytes, 1)))
end

-- Take in what waits in one ingress. Returns in how many ms the rest may be asked for; nil if there is none.
local function drain_one(name, sender, most)
  local stream = key.ingress(name)
  local waiting = redis.pcall('XLEN', stream)
  if type(waiting) == 'table' then
    if not sender.foreign then
      raise_fence('ingress')
      decide('source.limited', 'source', name, 'cause', 'type', 'dropped', '0')
      rcall('HSET', key.source(name), 'foreign', 'true')
    end
    return limit.sleep_ms
  elseif waiting == 0 then
    return nil
  end
  if meta.overload.memory and sender.role == 'producer' then
    return limit.sleep_ms -- others' submissions are shed; these can wait where they are
  end
  raise_fence('ingress')
  refill_tokens(sender)
  local over = math.min(math.max(waiting - sender.backlog, too_large(stream, waiting)), limit.source_trim)
  if over > 0 then
    rcall('XTRIM', stream, 'MAXLEN', '=', waiting - over)
    limit_source(sender, 'backlog', over)
    waiting = waiting - over
  end
  local taken, ahead = read_ingress(name, sender, stream, most)
  waiting = waiting - taken
  if ahead then
    reset_stream(name, sender, stream, ahead, waiting)
    waiting = 0
  elseif taken > 0 then
    rcall('XTRIM', stream, 'MAXLEN', '=', waiting)
  end
  if waiting > 0 and sender.tokens <= 0 then
    limit_source(sender, 'rate', 0)
  end
  record_limits(name, sender, waiting == 0)
  rcall('HSET', key.source(name), 'tokens', format('%.3f', sender.tokens), 'tokens_ts', now_text, 'over', sender.over, 'told_ts',
    format_int(sender.told_ts), 'foreign', 'false')
  if waiting > 0 then
    return sender.tokens > 0 and 0 or math.ceil((1 - sender.tokens) * 1000 / sender.rate)
  end
end

-- Take in what waits in the ingress streams of these sources. Returns the names of those that have more to give, each with the
-- ms after which that may be asked for.
local function ingest_sources(listed_names)
  local waits, listed = {}, {}
  for name in gmatch(listed_names, '[^ ]+') do
    listed[#listed + 1] = name
  end
  if #listed > 0 then
    watch_load('memory')
  end
  local share = math.max(1, math.floor(left / 2 / #listed)) -- the other half is for what they bring about
  for i = 1, #listed do
    local name = listed[i]
    local sender = sender_of(name)
    local wait = sender and not sender.revoked and left > 0 and drain_one(name, sender, share)
    if wait or left <= 0 then
      waits[#waits + 1], waits[#waits + 2] = name, format_int(wait or 0)
    end
  end
  reindex()
  return waits
end
