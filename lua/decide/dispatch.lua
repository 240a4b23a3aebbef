-- Send jobs to nodes.

-- Send a job to the node chosen for it, and record why that one. Returns false where no node may receive it.
local function dispatch(job_id, job)
  local node_id, pool_id, seen, why, affinity = choose(job)
  if not node_id then
    return false
  end
  decide('job.dispatched', 'job_id', job_id, 'node_id', node_id, 'pool_id', pool_id, 'nonce', nonce,
    'seen', seen, 'why', why, 'affinity', affinity)
  left = left - math.floor(#(job.payload_json or '') / limit.weight) -- its fold copies the payload to the inbox
  return true
end

-- The waiting jobs of one pair, in their order, read a few dozen at a time. Returns the next one, or nil.
local function next_job(queue)
  if not queue.jobs or queue.at > #queue.jobs then
    local src, tgt = match(queue.pair, '^([^:]+):(.+)$')
    queue.jobs, queue.at = rcall('ZRANGE', flush(key.waiting(src, tgt)), '0', math.min(left, 32) - 1, 'WITHSCORES'), 1
  end
  queue.order = tonumber(queue.jobs[queue.at + 1])
  return queue.jobs[queue.at]
end

-- Hand waiting jobs to nodes, the highest priority of all pairs first, while there are both. A few pairs are served side by side,
-- always the first of their first jobs, until a pair left out may come before.
local function dispatch_waiting()
  local served
  repeat
    reindex() -- ranks the sets again
    local queues, bound = best_pairs()
    served = 0
    while left > 0 do
      local first
      for i = 1, #queues do
        local order = queues[i].order
        if order and (not first or order < first.order) then
          first = queues[i]
        end
      end
      if not first or first.order > bound then
        break
      end
      local job_id = next_job(first)
      if job_id and dispatch(job_id, job_to_dispatch(job_id)) then
        served, first.at = served + 1, first.at + 2
        if left > 0 then -- with nothing left, the range to read would end at -1: the whole queue
          next_job(first)
        end
      else
        first.order = nil -- no node may take this pair's jobs any more
      end
    end
  until served == 0 or left <= 0
end
