-- USES: context keeps_node candidates hold whole session
-- Choose a node for a job: its session's node if that may receive it; else the one of two random candidates that holds
-- fewer jobs (two choices); a node already tried only if there is no other. Returns nil if no node may receive it.
local function choose(job)
  local excluded, tried = {}, 0
  if job.excluded ~= '' then
    for node_id in gmatch(job.excluded, '[^\n]+') do
      excluded[node_id], tried = true, tried + 1
    end
  end
  local affinity = 'none'
  if job.affinity == 'prefer' then
    local session = session_of(job.session_id)
    if session[2] then
      local pool_id, cause = keeps_node(job, session[1], session[2], excluded)
      if pool_id then
        return session[2], pool_id, '', 'session', 'kept'
      end
      affinity = cause
    else
      affinity = 'new'
    end
  end
  local fresh, stale = candidates(job, excluded, tried)
  local a, b, why = fresh[1], fresh[2], 'two_choices'
  if not a then
    a, b, why = stale[1], nil, 'last_resort'
    if not a then
      return nil
    end
  end
  local held_a = held_by(a[1])
  if not b then
    return a[1], a[2], a[1] .. '=' .. whole(held_a), why == 'two_choices' and 'only' or why, affinity
  end
  local held_b = held_by(b[1])
  local seen = a[1] .. '=' .. whole(held_a) .. ' ' .. b[1] .. '=' .. whole(held_b)
  if held_b < held_a then
    a = b
  end
  return a[1], a[2], seen, why, affinity
end
