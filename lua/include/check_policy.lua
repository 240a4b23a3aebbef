-- USES: check_choice
-- The name of a way to choose a node.
local function check_policy(field, value)
  return check_choice(field, value, 'two_choices')
end
