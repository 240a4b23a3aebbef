-- A conversation is over: its next job, if any, may go anywhere.
-- FIELDS: session_id:id request_id?:id
-- USES: want requested_before session
if requested_before(e) then
  return
end
want('DEL', session_key(session_id))
