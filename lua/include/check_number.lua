-- USES: check_utf8 whole
-- A whole number within bounds, returned as text in one spelling. 15 digits are what a double keeps exactly.
local function check_number(field, value, least, most)
  check_utf8(field, value, limit.id)
  local number = #value <= 16 and find(value, '^%-?%d+$') and tonumber(value)
  if not number or number < least or number > most then
    fail('INVALID_FIELD', field .. ' is ' .. format('%q', value) .. ': give a whole number from ' .. whole(least) .. ' to ' .. whole(most))
  end
  return whole(number + 0) -- a zero has two signs
end
