-- USES: want bump context job_to_dispatch
-- Carry out the plan of the event being folded.
local function commit()
  for i = 1, planned do
    rcall(unpack(plan[i]))
  end
  planned, known_id = 0, nil
  for i = 1, #planned_bumps, 2 do
    local counter = planned_bumps[i]
    bumps[counter] = (bumps[counter] or 0) + planned_bumps[i + 1]
    planned_bumps[i], planned_bumps[i + 1] = nil, nil
  end
end
