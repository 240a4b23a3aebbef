-- USES: check_choice
-- What a source is.
local function check_role(field, value)
  return check_choice(field, value, 'producer', 'node')
end
