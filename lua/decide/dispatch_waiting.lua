-- USES: context dispatch read_job settle
-- Hand waiting jobs to nodes, the highest priority of all pairs first, while there are both.
local function dispatch_waiting()
  while left > 0 do
    local first = rcall('ZRANGE', key.ready, 0, 1, 'WITHSCORES')
    if not first[1] then
      return
    end
    local src, tgt = match(first[1], '^([^:]+):(.+)$')
    local next_pair = tonumber(first[4] or math.huge)
    local jobs = rcall('ZRANGE', key.waiting(src, tgt), 0, math.min(left, 64) - 1, 'WITHSCORES')
    for i = 1, #jobs, 2 do
      -- the next pair's first job may come before this one; and the last node may just have been filled
      if tonumber(jobs[i + 1]) > next_pair then
        break
      elseif not dispatch(jobs[i], read_job(jobs[i])) then
        break
      end
    end
  end
end
