-- Events that a caller hands to a script, before anything is written: a shape that XADD does not take would tear the call.

-- The bytes of an event; an error where one of its parts is no text.
local function size_of(flat)
  local bytes = 0
  for i = 1, #flat do
    bytes = bytes + #flat[i]
  end
  return #concat(flat) == bytes and bytes
end

-- What is wrong with the shape of an event; nil for a good one.
local function problem_of(flat)
  local known = ': give a flat list of texts, such as ["type", "job.cancelled", "job_id", "j1"]'
  if type(flat) ~= 'table' or flat[1] == nil then
    return 'the event is no list, or an empty one' .. known
  elseif #flat % 2 == 1 then
    return 'the event has ' .. #flat .. ' parts, a field without a value' .. known
  elseif #flat > 2 * limit.fields then
    return 'the event has ' .. #flat / 2 .. ' fields: give at most ' .. limit.fields
  end
  local done, bytes = pcall(size_of, flat)
  if not done or not bytes then
    for i = 1, #flat do
      if type(flat[i]) ~= 'string' then
        local what = i % 2 == 1 and 'the name of field ' .. (i + 1) / 2 or flat[i - 1]
        return what .. ' is no text: encode it as text, nested values as JSON'
      end
    end
  elseif bytes > limit.event then
    return 'the event has ' .. bytes .. ' bytes: keep it within ' .. limit.event
  elseif flat[1] ~= 'type' then
    return 'type is missing at the front: begin the event with it'
  end
end

-- Read the events of a call. Returns the list, or nil and the refusal.
local function read_events(json)
  local done, flats = pcall(cjson.decode, json)
  if not done or type(flats) ~= 'table' or not find(json, '^%s*%[') then
    return nil, 'INVALID_FIELD own is no list of events: give JSON such as [["type", "job.cancelled", "job_id", "j1"]]'
  elseif #flats > limit.events then
    return nil, 'INVALID_FIELD own holds ' .. #flats .. ' events: give at most ' .. limit.events .. ' in a call'
  end
  return flats
end
