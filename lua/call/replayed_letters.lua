-- The dead letters that a replay meets. They have the order of the log, so both are read side by side.
--
-- A replay of a new log that is kept behind restored events (`carried_after`) refuses decisions that it does not believe, and
-- letters of later events stand already. It writes all letters again, in order, into a stream that takes the place of the old
-- one in the call that ends the replay. A replay that starts over begins with the old one, which is whole until then.
local unpassed = {} -- letters that were read, about events that may not be folded yet
local refused_before = {} -- the entries of the log that they are about
local letters_read = '0-0' -- id of the last letter that was read
local reordered = false -- whether this replay writes them again
local reordered_last = '0-0' -- id of the last one that it wrote

local function open_letters(writes_again)
  letters_read = meta.dead_cursor
  reordered = writes_again
  if reordered then
    local last = rcall('XREVRANGE', key.dead_ordered, '+', '-', 'COUNT', 1)
    reordered_last = last[1] and last[1][1] or reordered_last
  end
end

-- Read up to the first letter about an event behind `last`. Letters that lie behind the replay count against the bound of this
-- call; those of a slice of the log are no more than its events, but for those about other streams.
local function read_letters(last, bounded)
  while not bounded or left > 0 do
    local letters = rcall('XRANGE', dead, '(' .. letters_read, '+', 'COUNT', limit.read)
    for i = 1, #letters do
      local id, flat = letters[i][1], letters[i][2]
      local letter = fields_of(flat)
      local about = letter.stream == 'events' and letter.id
      if about and last and not at_or_before(about, last) then
        return
      elseif about then
        refused_before[about] = true
      end
      unpassed[#unpassed + 1] = { id = id, about = about, flat = flat }
      letters_read = id
      left = bounded and left - weight_of(flat) or left
    end
    if #letters < limit.read then
      return
    end
  end
end

-- A letter keeps its id, by which operators name it, unless another took that in the same millisecond.
local function write_again(id, flat)
  raise_fence(meta.watermark)
  local free = id and not at_or_before(id, reordered_last)
  reordered_last = rcall('XADD', key.dead_ordered, free and id or match(reordered_last, '^%d+') .. '-*', unpack(flat))
end

-- Pass the letters before the first one about an event behind `id`; all of them without `id`.
local function pass_letters(id)
  local later = {}
  for i = 1, #unpassed do
    local letter = unpassed[i]
    if later[1] or id and letter.about and not at_or_before(letter.about, id) then
      later[#later + 1] = letter
    else
      meta.dead_cursor = letter.id
      if reordered then
        write_again(letter.id, letter.flat)
      end
    end
  end
  unpassed = later
end

-- Write the letter about an event that only this replay refuses. It is counted when the letters are in place.
local function write_letter_between(id, e, problem)
  pass_letters(id)
  count_letter(key.dead_ordered_codes, 'events', e, problem, 1)
  write_again(nil, dead_letter('events', id, e, problem))
end

-- Put the letters that were written again into the place of the others.
local function close_letters()
  read_letters()
  pass_letters()
  if rcall('EXISTS', key.dead_ordered) == 1 then
    rcall('RENAME', key.dead_ordered, dead)
  end
  local codes = rcall('HGETALL', key.dead_ordered_codes)
  for i = 1, #codes, 2 do
    redis.pcall('HINCRBY', key.dead_codes, codes[i], codes[i + 1])
  end
  rcall('UNLINK', key.dead_ordered_codes)
end
