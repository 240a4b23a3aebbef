-- USES: context fields_of fold_event report_nodes
-- Take in the beats that came since the last call, then record what they changed. Returns true when all are read.
local beat_problems = {} -- by id, for the caller whose own beat it was
local function fold_beats()
  local entries = rcall('XRANGE', heartbeats, '(' .. meta.heartbeats_watermark, '+', 'COUNT', left)
  local events_of, question = {}, { 'SMISMEMBER', key.online }
  for i = 1, #entries do
    local e = fields_of(entries[i][2])
    events_of[i], question[i + 2] = e, e.node_id or ''
  end
  -- one question for all of them: who is online does not change before the reports below
  local answers = #entries > 0 and rcall(unpack(question))
  for i = 1, #entries do
    local id = entries[i][1]
    known_online = answers[i] == 1
    beat_problems[id] = fold_event('heartbeats', id, events_of[i], false)
    meta.heartbeats_watermark, beats_moved = id, true
  end
  known_online = false
  local drained = #entries < left
  left = left - #entries
  report_nodes()
  return drained
end
