-- A conversation is over: its next job, if any, may go to any node.
-- FIELDS: session_id:id request_id?:id
-- ONCE: session_id
plan_write('DEL', session_key(session_id))
