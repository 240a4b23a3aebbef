-- USES: context fields_of fold_event whole
-- Fold what the log holds behind the watermark, as far as this call may go. Returns true at the tail.
local function fold_log()
  -- Of the other streams nothing is read: a foreign key in the place of one is met here, before anything is written, and
  -- not half way through.
  local read = rcall('XREAD', 'COUNT', whole(left), 'STREAMS', events, heartbeats, dead, meta.watermark, '$', '$') or {}
  local entries = read[1] and read[1][2] or {}
  for i = 1, #entries do
    local id = entries[i][1]
    fold_event('events', id, fields_of(entries[i][2]), false)
    meta.watermark, moved = id, true
  end
  meta.folded = meta.folded + #entries
  local tail = #entries < left
  left = left - #entries
  return tail
end
