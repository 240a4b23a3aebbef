-- USES: check_utf8
-- A boolean, true or false in lower case.
local function check_flag(field, value)
  check_utf8(field, value, limit.id)
  if value ~= 'true' and value ~= 'false' then
    fail('INVALID_FIELD', field .. ' is ' .. format('%q', value) .. ': give true or false')
  end
  return value
end
