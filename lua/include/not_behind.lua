-- USES: context
-- Whether one stream id stands at or before another; '+' is the end of every stream.
local function not_behind(a, b)
  if b == '+' then
    return true
  end
  local a_ms, a_seq = match(a, '^(%d+)-(%d+)$')
  local b_ms, b_seq = match(b, '^(%d+)-(%d+)$')
  a_ms, b_ms = tonumber(a_ms), tonumber(b_ms)
  return a_ms < b_ms or (a_ms == b_ms and tonumber(a_seq) <= tonumber(b_seq))
end
