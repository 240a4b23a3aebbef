-- USES: check_number
-- A priority; a higher one goes first, 0 is the usual one.
local function check_priority(field, value)
  return check_number(field, value, -limit.priority, limit.priority)
end
