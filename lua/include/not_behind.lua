-- USES: context
-- Whether one stream id stands at or before another; '+' is the end of every stream. A part may have 20 digits, which a
-- double does not hold: the longer one is the larger one.
local function not_behind(a, b)
  if b == '+' then
    return true
  end
  local a_ms, a_seq = match(a, '^(%d+)-(%d+)$')
  local b_ms, b_seq = match(b, '^(%d+)-(%d+)$')
  if a_ms ~= b_ms then
    return #a_ms < #b_ms or #a_ms == #b_ms and a_ms < b_ms
  end
  return #a_seq < #b_seq or #a_seq == #b_seq and a_seq <= b_seq
end
