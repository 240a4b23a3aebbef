-- What an entry of an ingress becomes in the log: who said it is stamped on it, whatever it says itself; and the jobs,
-- sessions and reply streams that a producer speaks of are its own, under its name.
local STAMPS = { source = true, source_id = true, retry_of = true }
local OWNED = { job_id = true, session_id = true, reply_to = true }
local function copy_of(name, role, id, flat, e)
  local copy, scope = {}, name .. '/'
  for i = 1, #flat, 2 do
    local field, value = flat[i], flat[i + 1]
    if not STAMPS[field] then
      if OWNED[field] and role == 'producer' and value ~= '' and value:sub(1, #scope) ~= scope then
        value = scope .. value
      end
      copy[#copy + 1], copy[#copy + 2] = field, value
    end
  end
  if role == 'producer' and e.type == 'job.submitted' and not e.job_id and e.session_id then
    local session = e.session_id:sub(1, #scope) == scope and e.session_id or scope .. e.session_id
    -- its producer knows it by this, because it knows what its own XADD was answered
    copy[#copy + 1], copy[#copy + 2] = 'job_id', session .. ':' .. (e.request_id or id)
  end
  copy[#copy + 1], copy[#copy + 2] = 'source', name
  copy[#copy + 1], copy[#copy + 2] = 'source_id', id
  return copy
end
