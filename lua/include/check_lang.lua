-- USES: check_utf8
-- A language code: letters, digits and hyphens (BCP 47 has no other), never a pattern.
local function check_lang(field, value)
  check_utf8(field, value, 35) -- RFC 5646, section 4.4.1: the length that buffers should allow
  if not find(value, '^%w[%w-]*$') then
    fail('INVALID_FIELD', field .. ' is no language code: use letters, digits and hyphens, such as zh or pt-BR')
  end
  return value
end
