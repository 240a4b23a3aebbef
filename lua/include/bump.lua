-- USES: context
-- Count something in the partition's counters; the counts of one call are written together at its end.
local bumps = {}
local bumped, bumped_by, planned_bumps = {}, {}, 0
local function bump(counter, by)
  if not planning then
    bumps[counter] = (bumps[counter] or 0) + (by or 1)
    return
  end
  planned_bumps = planned_bumps + 1
  bumped[planned_bumps], bumped_by[planned_bumps] = counter, by or 1
end
