-- USES: context raise_fence whole fields_of fold_event
-- Append an entry behind the tail at this call's time, and fold it at once. Returns its id, and the problem if refused.
local function append_entry(flat, decided)
  if now > last_ms then
    last_ms, last_seq = now, 0
  else
    last_seq = last_seq + 1
  end
  local id = whole(last_ms) .. '-' .. whole(last_seq)
  raise_fence(id)
  rcall('XADD', events, id, unpack(flat))
  local problem = fold_event('events', id, fields_of(flat), decided)
  meta.watermark, moved = id, true
  meta.folded = meta.folded + 1
  left = left - 1
  return id, problem
end
