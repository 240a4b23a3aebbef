-- USES: check_number
-- How much of something there may be.
local function check_amount(field, value)
  return check_number(field, value, 1, 1000000000)
end
