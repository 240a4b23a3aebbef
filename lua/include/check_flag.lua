-- USES: check_choice
-- A boolean, true or false in lower case.
local function check_flag(field, value)
  return check_choice(field, value, 'true', 'false')
end
