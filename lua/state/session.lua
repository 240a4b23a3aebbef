-- Where a session's last job went. It is read once a call, and written once, however many jobs of the session are dispatched
-- in it: they often come together.
local sessions = {}
local function session_of(session_id)
  local place = sessions[session_id]
  if not place then
    place = rcall('HMGET', key.session(session_id), 'preferred_pool', 'node_id')
    sessions[session_id] = place
  end
  return place
end

-- A job of the session goes to a node.
local function move_session(session_id, pool_id, node_id, pair, job_id)
  sessions[session_id] = { pool_id, node_id }
  local name = key.session(session_id)
  buffer_whole(name, { 'HSET', name, 'preferred_pool', pool_id, 'last_lang_pair', pair, 'node_id', node_id, 'last_job', job_id })
end

-- The session's hash is about to be read, or to go: returns its key.
local function session_key(session_id)
  sessions[session_id] = nil
  return flush(key.session(session_id))
end
