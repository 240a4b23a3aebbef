-- USES: context
-- Members that enter or leave the timers, the queues, the nodes' jobs and the ended jobs, and a node's pending and window,
-- are gathered by key, and many are written by one command: half of what a small command costs is the call itself. A
-- read of such a key goes through written(key), which writes first what is gathered for it; so nobody sees a difference.
local gathered, names = {}, {}
local function written(name)
  local command = gathered[name]
  if command then
    gathered[name] = nil
    rcall(unpack(command, 1, command.n))
  end
  return name
end

local function gather(command, name, a, b)
  local before = gathered[name]
  local n = before and before[1] == command and before.n or 200
  if n >= 200 then
    written(name)
    gathered[name], names[#names + 1] = { command, name, a, b or nil, n = b and 4 or 3 }, name
    return
  end
  for i = 3, command == 'HSET' and n or 0, 2 do
    if before[i] == a then -- of a field only the last word counts
      before[i + 1] = b
      return
    end
  end
  before[n + 1] = a
  if b then
    before[n + 2] = b
  end
  before.n = b and n + 2 or n + 1
end

-- A command that says all there is to say of its key: the last one counts.
local function gather_all(name, command)
  if not gathered[name] then
    names[#names + 1] = name
  end
  gathered[name] = command
end

local function write_gathered()
  for i = 1, #names do
    written(names[i])
  end
  names = {}
end
