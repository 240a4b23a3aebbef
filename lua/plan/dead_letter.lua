-- Dead letters: events that could not be folded, with the reason.

-- The letter about an event that could not be folded: the event's own fields behind those of the letter. Of an event with too
-- many fields none is kept; the log holds them.
local function dead_letter(stream, id, e, problem)
  local letter = { 'id', id, 'stream', stream, 'code', problem.code, 'reason', problem.detail }
  local fields = {}
  for name in pairs(e) do
    fields[#fields + 1] = name
  end
  if #fields > limit.fields then
    fields = {}
  end
  sort(fields, bytes_before)
  for _, name in ipairs(fields) do
    local own = name == 'id' or name == 'stream' or name == 'code' or name == 'reason'
    letter[#letter + 1] = own and 'event_' .. name or name
    letter[#letter + 1] = #e[name] > limit.payload and e[name]:sub(1, limit.payload) or e[name]
  end
  return letter
end

-- Count a letter beside the letters, which a rebuild leaves where they are, too. An event that was retried in vain is one thing
-- to handle, not two. If a foreign key is in the place of the counts, nothing is counted: that must not stop the log.
local function count_letter(codes, stream, e, problem, by)
  local again = stream == 'events' and e.retry_of and find(e.retry_of, '^%d+%-%d+$')
  redis.pcall('HINCRBY', codes, again and 'again' or problem.code, by)
end

local function write_dead_letter(stream, id, e, problem)
  count_letter(key.dead_codes, stream, e, problem, 1)
  local letter = dead_letter(stream, id, e, problem)
  if stream ~= 'events' then -- no replay needs it: how many of these there may be is bounded (drop_letters.lua)
    local _, bytes = weight_of(letter)
    redis.pcall('HINCRBY', key.dead_others, 'count', 1)
    redis.pcall('HINCRBY', key.dead_others, 'bytes', bytes)
  end
  rcall('XADD', dead, '*', unpack(letter))
end

-- Keep the beginning of an entry of an ingress that is not taken in at all.
local function reject_entry(name, id, flat, detail)
  local head = {}
  for i = 1, math.min(#flat, 2 * limit.source_fields) do
    head[i] = flat[i]:sub(1, limit.id)
  end
  write_dead_letter('in:' .. name, id, fields_of(head), { code = 'NOT_PERMITTED', detail = 'source ' .. name .. ' ' .. detail })
end
