-- USES: check_utf8
-- One of two words, or the only one there is.
local function check_choice(field, value, first, second)
  if value == first or (second and value == second) then
    return value
  end
  check_utf8(field, value, limit.id)
  fail('INVALID_FIELD', field .. ' is ' .. format('%q', value) .. ': give ' .. first .. (second and ' or ' .. second or ''))
end
