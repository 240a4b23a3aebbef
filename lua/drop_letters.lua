-- Drop the oldest dead letters that are about no entry of the log, while there are more of them than may be. Letters about the
-- log stay: a replay has to skip what was refused.
-- KEYS: dead
-- ARGV: prefix batch:count
-- `passed` is where the search ended: what is left up to there stays. Replies {dropped, more}.
if not whole_watermark() then
  return { 0, 0 } -- a replay may read the letters
end
left = tonumber(batch)
local v = rcall('HMGET', key.dead_others, 'count', 'bytes', 'passed')
local count, bytes, passed = tonumber(v[1] or 0), tonumber(v[2] or 0), v[3] or '0-0'
local function is_over()
  return count > config('max_letters') or bytes > config('max_letters_bytes')
end
local lost, lost_open, ended = 0, 0, not is_over()
while not ended and left > 0 and is_over() do
  local asked = math.min(left, limit.read)
  local letters = rcall('XRANGE', dead, '(' .. passed, '+', 'COUNT', asked)
  local taken = take(letters)
  for i = 1, taken do
    local id, flat = letters[i][1], letters[i][2]
    if fields_of(flat).stream ~= 'events' and is_over() then
      local _, size = weight_of(flat)
      count, bytes, lost = count - 1, bytes - size, lost + 1
      lost_open = lost_open + 1 - rcall('HEXISTS', key.letters, id)
      rcall('XDEL', dead, id)
    end
    passed = is_over() and id or passed
  end
  ended = taken < asked and taken == #letters
  if ended and is_over() then
    count, bytes = 0, 0 -- there are none left: they were deleted, or the server lost them
  end
end
if passed ~= v[3] or lost > 0 then
  rcall('HSET', key.dead_others, 'count', format_int(count), 'bytes', format_int(bytes), 'passed', passed)
  rcall('HINCRBY', key.dead_others, 'lost', lost)
  rcall('HINCRBY', key.dead_others, 'lost_open', lost_open)
end
return { lost, is_over() and 1 or 0 }
