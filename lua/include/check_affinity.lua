-- USES: check_utf8
-- Whether a job follows its session.
local function check_affinity(field, value)
  check_utf8(field, value, limit.id)
  if value ~= 'prefer' and value ~= 'none' then
    fail('INVALID_FIELD', field .. ' is ' .. format('%q', value) .. ': give prefer or none')
  end
  return value
end
