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

-- A member, or a field, of one of the keys of written().
local member_plan, planned_members = {}, 0
local function want_member(...)
  planned_members = planned_members + 1
  member_plan[planned_members] = { ... }
end
