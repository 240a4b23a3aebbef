-- A conversation is over: its next job, if any, may go anywhere.
-- FIELDS: session_id:id
-- USES: want
want('DEL', key.session(session_id))
