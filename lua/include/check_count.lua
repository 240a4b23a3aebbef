-- USES: check_number
-- How often something may be tried.
local function check_count(field, value)
  return check_number(field, value, 1, limit.attempts)
end
