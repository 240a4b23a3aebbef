-- Turn the flat fields of a stream entry into a table.
local function fields_of(flat)
  local e = {}
  for i = 1, #flat, 2 do
    e[flat[i]] = flat[i + 1]
  end
  return e
end
