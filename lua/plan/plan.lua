-- The plan of the event being folded: commands that run only once the whole event has been understood. A decision of the
-- scheduler is never refused: it needs no plan, and its commands run at once.

-- Refuse the event being folded: it becomes a dead letter with this code, and leaves no other trace.
local function refuse_event(code, detail)
  error({ code = code, detail = detail }, 0)
end

-- Plan a command, given as a list.
local plan, planned = {}, 0
local function plan_command(command)
  if not planning then
    rcall(unpack(command))
    return
  end
  planned = planned + 1
  plan[planned] = command
end

-- The same of a command whose words are given one by one.
local function plan_write(...)
  if not planning then
    rcall(...)
    return
  end
  planned = planned + 1
  plan[planned] = { ... }
end

-- Plan a member, or a field, of one of the buffered keys: the command, the key, and one or two values. The lists are used
-- again for each event, because to make a table for each costs more than the rest.
local member_command, member_key, member_a, member_b, planned_members = {}, {}, {}, {}, 0
local function plan_member(command, name, a, b)
  if not planning then
    buffer(command, name, a, b)
    return
  end
  planned_members = planned_members + 1
  local n = planned_members
  member_command[n], member_key[n], member_a[n], member_b[n] = command, name, a, b or false
end

-- Count something in the partition's counters.
local bumped, bumped_by, planned_bumps = {}, {}, 0
local function bump(counter, by)
  if not planning then
    bumps[counter] = (bumps[counter] or 0) + (by or 1)
    return
  end
  planned_bumps = planned_bumps + 1
  bumped[planned_bumps], bumped_by[planned_bumps] = counter, by or 1
end

-- Plan a delivery.
local deliveries, planned_deliveries = {}, 0
local function plan_delivery(...)
  if not live then
    return
  elseif not planning then
    deliver_now(...)
    return
  end
  planned_deliveries = planned_deliveries + 1
  deliveries[planned_deliveries] = { ... }
end

-- Carry out the plan.
local function commit()
  for i = 1, planned do
    rcall(unpack(plan[i]))
  end
  for i = 1, planned_members do
    buffer(member_command[i], member_key[i], member_a[i], member_b[i])
  end
  for i = 1, planned_bumps do
    local counter = bumped[i]
    bumps[counter] = (bumps[counter] or 0) + bumped_by[i]
  end
  for i = 1, planned_deliveries do
    deliver_now(unpack(deliveries[i]))
  end
  planned, planned_members, planned_bumps, planned_deliveries = 0, 0, 0, 0
  if known_id or new_id then
    know_submission()
  end
end

-- Forget the plan of an event that is refused.
local function abandon()
  planned, planned_members, planned_bumps, planned_deliveries, new_id = 0, 0, 0, 0, nil
end
