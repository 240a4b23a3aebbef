-- USES: context in_bytes
-- Keep an event that could not be folded, with the reason: the original fields behind the letter's own.
local function bury(stream, id, e, problem)
  local letter = { 'id', id, 'stream', stream, 'code', problem.code, 'reason', problem.detail }
  local names = {}
  for name in pairs(e) do
    names[#names + 1] = name
  end
  if #names > 1000 then
    names = {} -- unpack has a limit
  end
  sort(names, in_bytes)
  for _, name in ipairs(names) do
    local own = name == 'id' or name == 'stream' or name == 'code' or name == 'reason'
    letter[#letter + 1] = own and 'event_' .. name or name
    letter[#letter + 1] = #e[name] > limit.payload and e[name]:sub(1, limit.payload) or e[name]
  end
  -- counted beside the letters, which a rebuild leaves where they are, too; one that was retried in vain is one thing to
  -- see to, not two. Where something else lives under the key, nothing is counted: that must not hold up the log.
  local again = stream == 'events' and e.retry_of and find(e.retry_of, '^%d+%-%d+$')
  redis.pcall('HINCRBY', key.dead_codes, again and 'again' or problem.code, 1)
  rcall('XADD', dead, '*', unpack(letter))
end
