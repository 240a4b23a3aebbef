-- What a script of the double finds around it: redis.call over the Python key space, and the two libraries it uses.
-- The key space gives an array as several values, so that its table is made here at once and not by element.
local python, decode_json, unpack_msgpack = ...

local ARRAYS = { HMGET = true, HGETALL = true, HKEYS = true, SMEMBERS = true, SMISMEMBER = true, ZRANGE = true, ZRANGEBYSCORE = true,
  LRANGE = true, TIME = true }
local NESTED = { XRANGE = true, XREAD = true, XREVRANGE = true, SCAN = true, XINFO = true }
local STATUS = { XGROUP = true, XSETID = true, SET = true, TYPE = true }

-- Build the tables that the double has flattened: each is `true`, its length, its elements.
local function build(given, from)
  local value = given[from]
  if value ~= true then
    return value, from + 1
  end
  local built, length = {}, given[from + 1]
  from = from + 2
  for i = 1, length do
    built[i], from = build(given, from)
  end
  return built, from
end

-- Returns the reply, or nil and the server's error.
local function perform(name, ...)
  if ARRAYS[name] or name == 'SRANDMEMBER' and select('#', ...) == 2 then
    local values = { python(name, ...) }
    if values[1] == nil and values[2] then
      return nil, values[2]
    end
    return values
  elseif NESTED[name] then
    local values = { python(name, ...) }
    if values[1] == nil then
      return nil, values[2]
    end
    return type(values[1]) == 'table' and values[1] or (build(values, 1))
  end
  local value, problem = python(name, ...)
  if value ~= nil and STATUS[name] then
    return { ok = value }
  end
  return value, problem
end

redis = {
  REPL_ALL = 3, REPL_REPLICA = 2,
  set_repl = function() end,
  call = function(...)
    local reply, problem = perform(...)
    if reply == nil then
      error(problem, 0) -- a text, as within pcall on a server
    end
    return reply
  end,
  pcall = function(...)
    local reply, problem = perform(...)
    return reply == nil and { err = problem } or reply
  end,
  error_reply = function(text)
    return { err = text }
  end,
  status_reply = function(text)
    return { ok = text }
  end,
}

cjson = { null = newproxy and newproxy() or {} }
cjson.decode = function(text)
  if type(text) ~= 'string' then
    error('bad argument #1 to decode (string expected)', 2)
  end
  local value, problem = decode_json(text, cjson.null)
  if problem then
    error(problem, 0)
  end
  return value
end

-- Only what our scripts write down so: numbers by plain names.
cjson.encode = function(value)
  local parts = {}
  for name, number in pairs(value) do
    assert(type(name) == 'string' and type(number) == 'number', 'the double encodes numbers by name only: teach it more')
    parts[#parts + 1] = ('"%s":%.14g'):format(name, number)
  end
  return '{' .. table.concat(parts, ',') .. '}'
end

cmsgpack = { unpack = unpack_msgpack }

-- Run a script: returns its reply, or nil and what it raised.
local function run(script, keys, argv)
  local done, reply = pcall(script, keys, argv)
  if done then
    return reply
  end
  local text = type(reply) == 'table' and reply.err or tostring(reply)
  return nil, text:find('^%u+ ') and text or 'ERR ' .. text
end

local function compile(text)
  return assert(loadstring('return function(KEYS, ARGV) ' .. text .. '\nend', '@user_script'))()
end

return run, compile
