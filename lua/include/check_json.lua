-- USES: check_utf8
-- Text that must parse as JSON; it is stored as it came.
local function check_json(field, value)
  check_utf8(field, value, limit.json)
  if not pcall(cjson.decode, value) then
    fail('INVALID_FIELD', field .. ' is not JSON: encode it as JSON')
  end
  return value
end
