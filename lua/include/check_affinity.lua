-- USES: check_choice
-- Whether a job follows its session.
local function check_affinity(field, value)
  return check_choice(field, value, 'prefer', 'none')
end
