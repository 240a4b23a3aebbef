-- USES: context fail
-- The one place where an older version of an event becomes the one that its fold reads. NEWEST names the types that have
-- more than one version, UPCASTS[type][v] turns fields of version v into those of v + 1. None has a second one yet.
local NEWEST = {}
local UPCASTS = {}
local function upcast(e)
  local newest = NEWEST[e.type] or 1
  if not e.v and newest == 1 then
    return e -- nearly every event
  end
  local v = tonumber(e.v and match(e.v, '^[1-9]%d?$') or not e.v and 1)
  if not v or v > newest then
    fail('UNSUPPORTED_VERSION', 'v ' .. e.v .. ' of ' .. tostring(e.type) .. ': upgrade the workers, or send v ' .. newest)
  end
  for step = v, newest - 1 do
    e = UPCASTS[e.type][step](e)
  end
  return e
end
