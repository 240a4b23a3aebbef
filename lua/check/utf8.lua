-- UTF-8 (RFC 3629), by a table of states: what may follow a byte depends on the bytes before it in the same character alone.
-- A megabyte takes a quarter of what a pass of patterns for each length of a character takes, and eight times what the one scan
-- of printable ASCII takes: Lua has no faster way to look at each byte. Of Chinese it is four times.

-- A state: for each byte the next state. An entry is made when it is first needed, because most calls meet a few bytes only.
local function state_of(following)
  return setmetatable({}, { __index = function(state, byte)
    local after = following(byte)
    state[byte] = after
    return after
  end })
end

-- The state between two characters.
local function build_utf8()
  local broken, between
  broken = state_of(function()
    return broken
  end)
  local function within(least, most, after)
    return state_of(function(byte)
      return byte >= least and byte <= most and after or broken
    end)
  end
  between = state_of(function(byte)
    return byte < 128 and between or broken
  end)
  local one_more = within(128, 191, between)
  local two_more = within(128, 191, one_more)
  local three_more = within(128, 191, two_more)
  for byte = 194, 244 do
    between[byte] = byte < 224 and one_more or byte < 240 and two_more or three_more
  end
  between[224], between[237] = within(160, 191, one_more), within(128, 159, one_more)
  between[240], between[244] = within(144, 191, two_more), within(128, 143, two_more)
  return between
end

-- Ten characters of three bytes, most of what Chinese, Japanese and Korean consist of: one pattern takes them in half the time.
-- Left out are the first bytes that bound the second one.
local WIDE = '^' .. string.rep('[\225-\236\238\239][\128-\191][\128-\191]', 10) .. '()'

local utf8_states
local function is_utf8(text)
  utf8_states = utf8_states or build_utf8()
  local state, bytes, size, place = utf8_states, text.byte, #text, 1
  while place <= size do
    local begun, to = place, match(text, WIDE, place)
    while to do
      place, to = to, match(text, WIDE, to)
    end
    -- the table takes what stands between two such runs, and more of a text that has none
    local last = math.min(size, place + (place > begun and 47 or 511))
    for start = place, last - 15, 16 do
      local a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p = bytes(text, start, start + 15)
      state = state[a][b][c][d][e][f][g][h][i][j][k][l][m][n][o][p]
    end
    place = last - (last - place + 1) % 16 + 1
    while place <= size and (place <= last or state ~= utf8_states) do
      state, place = state[bytes(text, place)], place + 1
      if place > last + 4 then -- no character is that long
        return false
      end
    end
  end
  return state == utf8_states
end
