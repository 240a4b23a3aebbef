-- Members that enter or leave the timers, the queues, the nodes' jobs and the ended jobs, and a node's pending and window, are
-- buffered by key, and one command writes many: half of what a small command costs is the call itself. A read of such a key
-- goes through flush(key), which first writes what is buffered for it; so no reader sees a difference.

-- Write what is buffered for a key. Returns the key.
local buffered, buffered_names = {}, {}
local function flush(name)
  local command = buffered[name]
  if command then
    buffered[name] = nil
    rcall(unpack(command, 1, command.n))
  end
  return name
end

local function buffer(command, name, a, b)
  local before = buffered[name]
  local n = before and before[1] == command and before.n or 200
  if n >= 200 then
    flush(name)
    buffered[name], buffered_names[#buffered_names + 1] = { command, name, a, b or nil, n = b and 4 or 3 }, name
    return
  end
  for i = 3, command == 'HSET' and n or 0, 2 do
    if before[i] == a then -- of a field only the last value counts
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

-- Buffer a command that writes everything its key holds: the last one counts.
local function buffer_whole(name, command)
  if not buffered[name] then
    buffered_names[#buffered_names + 1] = name
  end
  buffered[name] = command
end

local function flush_all()
  for i = 1, #buffered_names do
    flush(buffered_names[i])
  end
  buffered_names = {}
end
