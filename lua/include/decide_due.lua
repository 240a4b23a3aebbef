-- USES: context requeue_lost expire_jobs fire_timers dispatch_waiting settle
-- Everything that is due at the tail, in the order in which one may bring about the next.
local function decide_due()
  settle()
  for _, step in ipairs({ fire_timers, requeue_lost, expire_jobs, dispatch_waiting }) do
    if left > 0 then
      step()
    end
  end
end
