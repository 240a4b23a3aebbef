-- USES: context want
-- Whether this very request was folded before: the same type of event about the same thing from the same source, under the
-- request_id that its sender made up before the first try. The thing is a `subject`, or else the event's node or session.
-- Each new one drops two that are older than an hour of the log's time, so that they stay as few as there are in an hour.
local function requested_before(e, subject)
  if not e.request_id then
    return false
  end
  local request = concat({ e.type, e.source or '', subject or e.node_id or e.session_id or '', e.request_id }, '\n')
  if rcall('ZSCORE', key.requests, request) then
    return true
  end
  local oldest = rcall('ZRANGE', key.requests, '0', '1', 'WITHSCORES')
  for i = 1, #oldest, 2 do
    if tonumber(oldest[i + 1]) + limit.request_ms <= at then
      want('ZREM', key.requests, oldest[i])
    end
  end
  want('ZADD', key.requests, at_text, request)
  return false
end
