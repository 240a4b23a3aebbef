-- USES: context
-- Members that enter or leave the timers, the queues, the nodes' jobs and the ended jobs, and a node's pending and window,
-- are gathered by key, and many are written by one command: half of what a small command costs is the call itself. A
-- read of such a key goes through written(key), which writes first what is gathered for it; so nobody sees a difference.
local gathered, names = {}, {}
local function written(name)
  local command = gathered[name]
  if command then
    gathered[name] = nil
    rcall(unpack(command))
  end
  return name
end

local function gather(command, name, a, b)
  local before = gathered[name]
  if not before or before[1] ~= command or #before >= 200 then
    written(name)
    gathered[name], names[#names + 1] = { command, name, a, b or nil }, name
    return
  end
  local n = #before
  for i = 3, command == 'HSET' and n or 0, 2 do
    if before[i] == a then -- of a field only the last word counts
      before[i + 1] = b
      return
    end
  end
  before[n + 1], before[n + 2] = a, b or nil
end

local function write_gathered()
  for i = 1, #names do
    written(names[i])
  end
  names = {}
end
