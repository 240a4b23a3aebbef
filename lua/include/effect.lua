-- USES: context want
-- A delivery to a node or a client: made once, when the event is new, and never again on a replay.
local function effect(...)
  if live then
    want(...)
  end
end

-- Let what was delivered last for so many ms from now: once a call, for one stream is told many things in it.
local kept = {}
local function keep_for(name, ms_text)
  if not kept[name] then
    kept[name] = true
    effect('PEXPIRE', name, ms_text)
  end
end
