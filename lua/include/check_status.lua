-- USES: check_choice
-- How a completion says that a job ended.
local function check_status(field, value)
  return check_choice(field, value, 'finished', 'failed')
end
