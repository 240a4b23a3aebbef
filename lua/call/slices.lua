-- Streams are read in slices. A call is bounded in bytes as well as in events, and any entry may hold a megabyte.

-- What an entry counts against a bound: one, and one more for each few kilobytes. Returns that, and its bytes.
local function weight_of(flat)
  local bytes = 0
  for i = 1, #flat do
    bytes = bytes + #flat[i]
  end
  return 1 + math.floor(bytes / limit.weight), bytes
end

-- How many entries of a slice this call may take; they count against its bound.
local function take(slice)
  local n = 0
  while n < #slice and left > 0 do
    n = n + 1
    left = left - weight_of(slice[n][2])
  end
  return n
end
