-- USES: context
-- The plan of the event being folded: commands that run only once the whole event has been understood.
local plan, planned = {}, 0
local function want_list(command)
  planned = planned + 1
  plan[planned] = command
end
local function want(...)
  planned = planned + 1
  plan[planned] = { ... }
end

-- A member, or a field, of one of the keys of written(): the command, the key, and one or two values. The lists are used
-- again and again, because to make a table for each costs more than the rest.
local member_command, member_key, member_a, member_b, planned_members = {}, {}, {}, {}, 0
local function want_member(command, name, a, b)
  planned_members = planned_members + 1
  local n = planned_members
  member_command[n], member_key[n], member_a[n], member_b[n] = command, name, a, b or false
end
