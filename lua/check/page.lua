-- Pages of entries that a tool hands to a script, before anything is written.

-- Read MessagePack that holds a list of [id, refused, [field, value, …]]. Returns the list, or nil and the refusal.
local function read_entries(packed)
  local done, given = pcall(cmsgpack.unpack, packed)
  local whole = done and type(given) == 'table'
  for i = 1, whole and #given or 0 do
    local entry = given[i]
    whole = whole and type(entry) == 'table' and type(entry[1]) == 'string' and find(entry[1], '^%d+%-%d+$')
      and type(entry[3]) == 'table' and #entry[3] % 2 == 0 and pcall(concat, entry[3])
  end
  if not whole then
    return nil, 'INVALID_FIELD entries is no list of entries: give MessagePack of [[id, refused, [field, value]]]'
  end
  return given
end
