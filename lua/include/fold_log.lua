-- USES: context fields_of fold_event
-- Fold what the log holds behind the watermark, as far as this call may go. Returns true at the tail.
local function fold_log()
  local entries = rcall('XRANGE', events, '(' .. meta.watermark, '+', 'COUNT', left)
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
