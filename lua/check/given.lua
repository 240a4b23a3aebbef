-- Events that a caller hands to a script, before anything is written: a shape that XADD does not take would tear the call.

-- Whether all events have the shape of one; an error where a part is no text, for only texts can be compared with a text. A call
-- to `type` for each part would cost three times as much.
local function are_plain(flats)
  for n = 1, #flats do
    local flat = flats[n]
    local parts = #flat
    if flat[1] ~= 'type' or parts % 2 == 1 or parts > 2 * limit.fields then
      return false
    end
    for i = 2, parts do
      if flat[i] < '' then
        return false
      end
    end
  end
  return true
end

-- What is wrong with the shape of an event; nil for a good one.
local function problem_of(flat)
  local remedy = ': give a flat list of texts, such as ["type", "job.cancelled", "job_id", "j1"]'
  if type(flat) ~= 'table' or flat[1] == nil then
    return 'the event is no list, or an empty one' .. remedy
  elseif #flat % 2 == 1 then
    return 'the event has ' .. #flat .. ' parts, a field without a value' .. remedy
  elseif #flat > 2 * limit.fields then
    return 'the event has ' .. #flat / 2 .. ' fields: give at most ' .. limit.fields
  end
  local bytes = 0
  for i = 1, #flat do
    if type(flat[i]) ~= 'string' then
      local what = i % 2 == 1 and 'the name of field ' .. (i + 1) / 2 or flat[i - 1]
      return what .. ' is no text: encode it as text, nested values as JSON'
    end
    bytes = bytes + #flat[i]
  end
  if bytes > limit.event then
    return 'the event has ' .. bytes .. ' bytes: keep it within ' .. limit.event
  elseif flat[1] ~= 'type' then
    return 'type is missing at the front: begin the event with it'
  end
end

-- Read the events of a call. Returns the list, and what is wrong with some of them, by position; or nil and the refusal.
local function read_events(json)
  local done, flats = pcall(cjson.decode, json)
  if not done or type(flats) ~= 'table' or not find(json, '^%s*%[') then
    return nil, 'INVALID_FIELD own is no list of events: give JSON such as [["type", "job.cancelled", "job_id", "j1"]]'
  elseif #flats > limit.events then
    return nil, 'INVALID_FIELD own holds ' .. #flats .. ' events: give at most ' .. limit.events .. ' in a call'
  end
  local problems, compared, plain = {}, pcall(are_plain, flats)
  plain = compared and plain and #json <= limit.event
  for n = 1, plain and 0 or #flats do
    problems[n] = problem_of(flats[n])
  end
  return flats, problems
end
