-- USES: context fields_of fold_event report_nodes settle
-- Take in the beats that came since the last call, then record what they changed. Returns true when all are read.
local beat_problems = {} -- by id, for the caller whose own beat it was
local function fold_beats()
  local entries = rcall('XRANGE', heartbeats, '(' .. meta.heartbeats_watermark, '+', 'COUNT', left)
  for i = 1, #entries do
    local id = entries[i][1]
    beat_problems[id] = fold_event('heartbeats', id, fields_of(entries[i][2]), false)
    meta.heartbeats_watermark, beats_moved = id, true
  end
  local drained = #entries < left
  left = left - #entries
  report_nodes()
  return drained
end
