-- USES: want bump context job_to_dispatch written effect
-- Carry out the plan of the event being folded.
local function commit()
  for i = 1, planned do
    rcall(unpack(plan[i]))
  end
  for i = 1, planned_members do
    gather(member_command[i], member_key[i], member_a[i], member_b[i])
  end
  for i = 1, planned_bumps do
    local counter = bumped[i]
    bumps[counter] = (bumps[counter] or 0) + bumped_by[i]
  end
  for i = 1, planned_effects do
    deliver(unpack(effects[i]))
  end
  planned, planned_members, planned_bumps, planned_effects = 0, 0, 0, 0
  known_id, known_job, new_id = new_id, new_job, nil
end

-- Forget the plan of an event that is refused.
local function abandon()
  planned, planned_members, planned_bumps, planned_effects, new_id = 0, 0, 0, 0, nil
end
