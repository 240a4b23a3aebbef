-- USES: check_number
-- A share of the whole, in percent.
local function check_percent(field, value)
  return check_number(field, value, 1, 100)
end
