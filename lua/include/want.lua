-- USES: context written
-- The plan of the event being folded: commands that run only once the whole event has been understood. What the scheduler
-- has decided is never refused: it needs no plan, and is carried out as it is said.
local plan, planned = {}, 0
local function want_list(command)
  if not planning then
    rcall(unpack(command))
    return
  end
  planned = planned + 1
  plan[planned] = command
end
local function want(...)
  if not planning then
    rcall(...)
    return
  end
  planned = planned + 1
  plan[planned] = { ... }
end

-- A member, or a field, of one of the keys of written(): the command, the key, and one or two values. The lists are used
-- again and again, because to make a table for each costs more than the rest.
local member_command, member_key, member_a, member_b, planned_members = {}, {}, {}, {}, 0
local function want_member(command, name, a, b)
  if not planning then
    gather(command, name, a, b)
    return
  end
  planned_members = planned_members + 1
  local n = planned_members
  member_command[n], member_key[n], member_a[n], member_b[n] = command, name, a, b or false
end
