-- USES: check_utf8
-- Words for a person: a reason, an error.
local function check_text(field, value)
  return check_utf8(field, value, limit.text)
end
