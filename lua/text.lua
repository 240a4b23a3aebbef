-- Texts, numbers and stream ids, with the same result on every server.

-- Write a number in the same way on every server: Redis and Valkey print large or broken numbers differently. A call writes
-- a few numbers many times, and to print one costs as much as a small command; '%d' costs half of '%.0f'.
local texts = {}
local function format_int(number)
  local text = texts[number]
  if not text then
    text = format(number >= 0 and number < 2147483648 and number % 1 == 0 and '%d' or '%.0f', number)
    texts[number] = text
  end
  return text
end

-- Turn the flat fields of a stream entry into a table. A constructor makes it at its full size; growing it costs as much again.
local function fields_of(flat)
  local e, from = {}, 1
  if #flat >= 12 then
    e, from = { [flat[1]] = flat[2], [flat[3]] = flat[4], [flat[5]] = flat[6], [flat[7]] = flat[8], [flat[9]] = flat[10],
      [flat[11]] = flat[12] }, 13
  elseif #flat >= 6 then
    e, from = { [flat[1]] = flat[2], [flat[3]] = flat[4], [flat[5]] = flat[6] }, 7
  end
  for i = from, #flat, 2 do
    e[flat[i]] = flat[i + 1]
  end
  return e
end

-- The server's clock, ms since the epoch.
local function clock_ms()
  local time = rcall('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

-- Whether one text sorts before another, byte by byte. `<` depends on the locale of the server's process: the same log
-- would fold to another state on another machine.
local function bytes_before(a, b)
  for i = 1, math.min(#a, #b) do
    local x, y = a:byte(i), b:byte(i)
    if x ~= y then
      return x < y
    end
  end
  return #a < #b
end

-- Whether one stream id is at or before another; '+' is the end of every stream. A part may have 20 digits, which a
-- double does not hold: of two parts the longer one is the larger one.
local function at_or_before(a, b)
  if b == '+' then
    return true
  end
  local a_ms, a_seq = match(a, '^(%d+)-(%d+)$')
  local b_ms, b_seq = match(b, '^(%d+)-(%d+)$')
  if a_ms ~= b_ms then
    return #a_ms < #b_ms or #a_ms == #b_ms and a_ms < b_ms
  end
  return #a_seq < #b_seq or #a_seq == #b_seq and a_seq <= b_seq
end

-- The id right behind another one; where its sequence is too long for a double, the id itself.
local function next_id(id)
  local ms, seq = match(id, '^(%d+)-(%d+)$')
  return ms .. '-' .. (#seq < 16 and format('%.0f', tonumber(seq) + 1) or seq)
end
