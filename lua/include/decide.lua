-- USES: append_entry settle
-- Record a decision as a fact, let it take effect, and settle what follows from it.
local function decide(...)
  append_entry({ 'type', ... }, true)
  settle()
end
