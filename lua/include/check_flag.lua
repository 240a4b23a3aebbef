-- USES: check_utf8
-- A boolean, true or false in lower case.
local function check_flag(field, value)
  if value == 'true' or value == 'false' then
    return value
  end
  check_utf8(field, value, limit.id)
  fail('INVALID_FIELD', field .. ' is ' .. format('%q', value) .. ': give true or false')
end
