-- USES: check_number
-- A duration in milliseconds, at most a year.
local function check_ms(field, value)
  return check_number(field, value, 0, 31536000000)
end
