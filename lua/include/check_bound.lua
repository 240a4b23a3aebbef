-- USES: check_number
-- How many of something there may be.
local function check_bound(field, value)
  return check_number(field, value, 1, 999999999999)
end
