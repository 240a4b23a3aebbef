-- USES: check_utf8
-- The id of an entry of a stream.
local function check_entry(field, value)
  check_utf8(field, value, limit.id)
  if #value > 41 or not find(value, '^%d+%-%d+$') then
    fail('INVALID_FIELD', field .. ' is ' .. format('%q', value) .. ': give the id of an entry, such as 1700000000000-0')
  end
  return value
end
