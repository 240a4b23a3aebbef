-- USES: append_entry settle
-- Record a decision as a fact, let it take effect, and settle what the next decision reads.
local function decide(...)
  append_entry({ 'type', ... }, true)
  settle_places()
end
