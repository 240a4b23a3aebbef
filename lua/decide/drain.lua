-- USES: context sender_of raise_fence whole refill read_ingress begin_anew limit_source settle decide watch_load
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
    return limit.sleep_ms -- others' submissions are turned away; these can wait where they are
  end
  raise_fence('ingress')
  refill(sender)
  local over = math.min(waiting - sender.backlog, limit.source_trim)
  if over > 0 then
    rcall('XTRIM', stream, 'MAXLEN', '=', waiting - over)
    limit_source(sender, 'backlog', over)
    waiting = waiting - over
  end
  local taken, ahead = read_ingress(name, sender, stream, most)
  waiting = waiting - taken
  if ahead then
    begin_anew(name, sender, stream, ahead, waiting)
    waiting = 0
  elseif taken > 0 then
    rcall('XTRIM', stream, 'MAXLEN', '=', waiting)
  end
  if waiting > 0 and sender.tokens <= 0 then
    limit_source(sender, 'rate', 0)
  end
  record_limits(name, sender, waiting == 0)
  rcall('HSET', key.source(name), 'tokens', format('%.3f', sender.tokens), 'tokens_ts', now_text, 'over', sender.over, 'told_ts',
    whole(sender.told_ts), 'foreign', 'false')
  if waiting > 0 then
    return sender.tokens > 0 and 0 or math.ceil((1 - sender.tokens) * 1000 / sender.rate)
  end
end

-- Take in what waits in the ingress streams of these sources, a fair share of each. Returns the names of those that have
-- more to give, each with the ms after which that may be asked for.
local function drain(names)
  local held, listed = {}, {}
  for name in gmatch(names, '[^ ]+') do
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
      held[#held + 1], held[#held + 2] = name, whole(wait or 0)
    end
  end
  settle()
  return held
end
