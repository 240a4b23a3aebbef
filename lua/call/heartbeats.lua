-- The heartbeats: a stream beside the log, from which only changes become facts.

-- Learn which senders of beats were in trouble at their last beat. `question` is SMISMEMBER of the senders. The partition
-- notes whether any node is: nearly always none is, and then nothing is asked.
local function ask_troubled(question)
  if not meta.troubled or #question < 3 then
    return
  end
  question[2] = key.troubled
  local answers = rcall(unpack(question))
  for i = 1, #answers do
    in_trouble[question[i + 2]] = answers[i] == 1
  end
end

local beat_problems = {} -- by id, for the caller that sent the beat
local function fold_some(slice, taken)
  local beats, question = {}, { 'SMISMEMBER', key.online }
  for i = 1, taken do
    local e = fields_of(slice[i][2])
    beats[i], question[i + 2] = e, e.node_id or ''
  end
  -- one question for all of them: who is online does not change before the reports
  local answers = taken > 0 and rcall(unpack(question))
  ask_troubled(question)
  for i = 1, taken do
    local id = slice[i][1]
    known_online = answers[i] == 1
    beat_problems[id] = fold_event('heartbeats', id, slice[i][2], beats[i], false)
    meta.heartbeats_watermark, beats_moved = id, true
  end
  known_online = false
end

-- Fold the beats that came since the last call, then record what they changed. Returns true when all are read.
local function fold_beats()
  local asked = math.min(left, 4)
  if left <= 0 then -- for COUNT 0 a server answers nothing at all; the next call reads them
    return true
  end
  repeat
    local slice = rcall('XRANGE', heartbeats, '(' .. meta.heartbeats_watermark, '+', 'COUNT', asked)
    fold_some(slice, take(slice))
    local drained = #slice < asked
    asked = math.min(left, 4 * limit.read) -- beats are small, or should be
  until drained or left <= 0
  report_nodes()
  if meta.troubled and beats_moved and rcall('EXISTS', key.troubled) == 0 then -- the next beats need not ask
    rcall('HDEL', key.meta, 'troubled')
    meta.troubled = nil
  end
  return left > 0
end

-- Write a beat to its stream, to be folded with the others. Returns its id.
local function add_beat(flat)
  return rcall('XADD', heartbeats, 'MAXLEN', '~', limit.heartbeats, '*', unpack(flat))
end
