-- USES: check_number
-- A moment in milliseconds since the epoch.
local function check_ts(field, value)
  return check_number(field, value, 0, 999999999999999)
end
