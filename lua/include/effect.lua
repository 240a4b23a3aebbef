-- USES: context
-- A delivery to a node or a client: made once, when the event is new, and never again on a replay. It goes to replicas, but
-- not into the append-only file, of which it would be a quarter: what a restart loses of it is found as after any other loss.
local effects, planned_effects = {}, 0
local write_to = redis.set_repl or function() end -- fakeredis has none
local function deliver(...)
  write_to(redis.REPL_REPLICA)
  rcall(...)
  write_to(redis.REPL_ALL)
end
local function effect(...)
  if not live then
    return
  elseif not planning then
    deliver(...)
    return
  end
  planned_effects = planned_effects + 1
  effects[planned_effects] = { ... }
end

-- Let what was delivered last for so many ms from now: once a call, for one stream is told many things in it.
local kept = {}
local function keep_for(name, ms_text)
  if not kept[name] then
    kept[name] = true
    effect('PEXPIRE', name, ms_text)
  end
end
