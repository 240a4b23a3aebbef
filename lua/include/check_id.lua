-- USES: check_utf8
-- An id or name: short, printable text.
local function check_id(field, value)
  if value and #value <= limit.id and find(value, '^[ -~]+$') then
    return value
  end
  check_utf8(field, value, limit.id)
  if find(value, '%c') then
    fail('INVALID_FIELD', field .. ' holds a control character: use printable text')
  end
  return value
end
