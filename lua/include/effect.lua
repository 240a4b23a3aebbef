-- USES: context want
-- A delivery to a node or a client: made once, when the event is new, and never again on a replay.
local function effect(...)
  if live then
    want(...)
  end
end
