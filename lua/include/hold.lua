-- USES: want written
-- How many jobs a node holds, read once: whatever changes it goes through hold().
local held = {}
local function held_by(node_id)
  if not held[node_id] then
    held[node_id] = rcall('SCARD', written(key.node_jobs(node_id)))
  end
  return held[node_id]
end

-- Put a job into a node's hands (by = 1), or take it from them (by = -1).
local function hold(node_id, job_id, by)
  want_member(by == 1 and 'SADD' or 'SREM', key.node_jobs(node_id), job_id)
  if held[node_id] then
    held[node_id] = held[node_id] + by
  end
end
