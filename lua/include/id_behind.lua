-- USES: context
-- The id right behind another one; where its sequence is too long for a double, the id itself.
local function id_behind(id)
  local ms, seq = match(id, '^(%d+)-(%d+)$')
  return ms .. '-' .. (#seq < 16 and format('%.0f', tonumber(seq) + 1) or seq)
end
