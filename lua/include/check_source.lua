-- USES: check_utf8 context
-- The name of a source. It becomes a part of keys, of patterns of an ACL and of ids: nothing in it has a meaning there.
local function check_source(field, value)
  check_utf8(field, value, 64)
  if not find(value, '^[%w._-]+$') then
    fail('INVALID_FIELD', field .. ' is ' .. format('%q', value) .. ': use letters, digits, dot, hyphen and underscore')
  end
  return value
end
