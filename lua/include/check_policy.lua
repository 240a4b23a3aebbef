-- USES: check_utf8
-- The name of a way to choose a node.
local function check_policy(field, value)
  check_utf8(field, value, limit.id)
  if value ~= 'two_choices' then
    fail('INVALID_FIELD', field .. ' is ' .. format('%q', value) .. ': give two_choices')
  end
  return value
end
