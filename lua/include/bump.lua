-- Count something in the partition's counters; the counts of one call are written together at its end.
local bumps, planned_bumps = {}, {}
local function bump(counter, by)
  planned_bumps[#planned_bumps + 1] = counter
  planned_bumps[#planned_bumps + 1] = by or 1
end
