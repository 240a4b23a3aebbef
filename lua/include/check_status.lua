-- USES: check_utf8
-- How a completion says that a job ended.
local function check_status(field, value)
  check_utf8(field, value, limit.id)
  if value ~= 'finished' and value ~= 'failed' then
    fail('INVALID_FIELD', field .. ' is ' .. format('%q', value) .. ': give finished or failed')
  end
  return value
end
