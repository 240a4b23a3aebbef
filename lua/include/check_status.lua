-- USES: check_utf8
-- How a completion says that a job ended.
local function check_status(field, value)
  if value == 'finished' or value == 'failed' then
    return value
  end
  check_utf8(field, value, limit.id)
  fail('INVALID_FIELD', field .. ' is ' .. format('%q', value) .. ': give finished or failed')
end
