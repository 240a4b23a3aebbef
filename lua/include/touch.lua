-- Remember a node, pool or pair whose derived indexes must be settled before anybody reads them.
local touched = { node = {}, pool = {}, pair = {} }
local any_touched = false
local function touch(kind, name)
  touched[kind][name] = true
  any_touched = true
end
